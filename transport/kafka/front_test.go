package kafka_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// front stands before a broker that tells its clients where else to connect: it passes everything on, and has the answers
// name another address than the broker's own, such as that of a bad network.
type front struct {
	listener net.Listener
	broker   string
	serving  sync.WaitGroup

	mu    sync.Mutex
	named string // what the answers name
	conns []net.Conn
	quiet chan struct{} // heartbeats pass once it is closed; nil = at once
}

func newFront(ctx context.Context, broker string) (*front, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{listener: l, broker: broker}
	f.serving.Go(f.serve)
	return f, nil
}

// name sets the address that the answers name, "host:port". It comes before the first connection.
func (f *front) name(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.named = address
}

// hush lets no heartbeat pass until release is called, nor what follows one on its connection. It comes once.
func (f *front) hush() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	quiet := make(chan struct{})
	f.quiet = quiet
	return sync.OnceFunc(func() { close(quiet) })
}

// ask passes on a request once it may pass.
func (f *front) ask(asked *questions, frame []byte) []byte {
	f.mu.Lock()
	quiet := f.quiet
	f.mu.Unlock()
	if quiet != nil && int16(binary.BigEndian.Uint16(frame)) == kmsg.Heartbeat.Int16() {
		<-quiet
	}
	return asked.note(frame)
}

// close breaks all connections and waits for their end.
func (f *front) close() error {
	err := f.listener.Close()
	f.mu.Lock()
	for _, c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.serving.Wait()
	return err
}

func (f *front) serve() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		broker, err := net.Dial("tcp", f.broker)
		if err != nil {
			client.Close()
			continue
		}
		f.mu.Lock()
		f.conns = append(f.conns, client, broker)
		f.mu.Unlock()
		asked := &questions{open: make(map[uint32]question)}
		f.serving.Go(func() { pass(broker, client, func(frame []byte) []byte { return f.ask(asked, frame) }) })
		f.serving.Go(func() { pass(client, broker, func(frame []byte) []byte { return f.answer(asked, frame) }) })
	}
}

// pass passes on frames, which begin with their size, until one of the connections has ended.
func pass(to, from net.Conn, change func([]byte) []byte) {
	defer to.Close()
	defer from.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(from, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(from, frame); err != nil {
			return
		}
		frame = change(frame)
		if _, err := to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)); err != nil {
			return
		}
	}
}

// questions are those of a connection that have no answer yet, by correlation id.
type questions struct {
	mu   sync.Mutex
	open map[uint32]question
}

type question struct{ key, version int16 }

// note remembers a request: key, version, correlation id.
func (q *questions) note(frame []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open[binary.BigEndian.Uint32(frame[4:])] = question{int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))}
	return frame
}

func (q *questions) take(id uint32) question {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer delete(q.open, id)
	return q.open[id]
}

// answer names the other address in those answers that name brokers.
func (f *front) answer(asked *questions, frame []byte) []byte {
	x := asked.take(binary.BigEndian.Uint32(frame))
	r := kmsg.ResponseForKey(x.key)
	f.mu.Lock()
	host, port, err := endpoint(f.named)
	f.mu.Unlock()
	if r == nil || err != nil {
		return frame
	}
	r.SetVersion(x.version)
	header := 4
	if r.IsFlexible() {
		header++ // no tags
	}
	switch r := r.(type) {
	case *kmsg.MetadataResponse:
		if err = r.ReadFrom(frame[header:]); err == nil {
			for i := range r.Brokers {
				r.Brokers[i].Host, r.Brokers[i].Port = host, port
			}
		}
	case *kmsg.FindCoordinatorResponse:
		if err = r.ReadFrom(frame[header:]); err == nil {
			r.Host, r.Port = host, port
			for i := range r.Coordinators {
				r.Coordinators[i].Host, r.Coordinators[i].Port = host, port
			}
		}
	case *kmsg.DescribeClusterResponse:
		if err = r.ReadFrom(frame[header:]); err == nil {
			for i := range r.Brokers {
				r.Brokers[i].Host, r.Brokers[i].Port = host, port
			}
		}
	default:
		err = errors.ErrUnsupported
	}
	if err != nil {
		return frame
	}
	return r.AppendTo(frame[:header:header])
}

func endpoint(address string) (host string, port int32, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return host, int32(n), err
}
