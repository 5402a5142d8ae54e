package rabbitmq

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// longestPiece is how many bytes a frame of the library may have that is to be written in one piece. What a Broker declares
// has fewer.
const longestPiece = 4096

// What is published is written between two pieces, so a frame that the library wrote in two would be torn.
func TestTheLibraryWritesEachFrameInOnePiece(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	var answering sync.WaitGroup
	answering.Go(func() { answerAll(t, far) })
	defer answering.Wait()
	w := &written{wire: newWire(near)}
	auth := []amqp.Authentication{&amqp.PlainAuth{Username: "u", Password: "p"}}
	conn, err := amqp.Open(w, amqp.Config{SASL: auth, Vhost: "/"})
	if err != nil {
		t.Fatalf("amqp.Open = %v; want nil", err)
	}
	s, err := newSession(conn, w.wire, true)
	if err != nil {
		t.Fatalf("newSession = %v; want nil", err)
	}
	b := &Broker{names: names{strings.Repeat("p", 32)}}
	for _, p := range []transport.Pattern{transport.Queue, transport.Topic, transport.Stream} {
		c := transport.Channel{Address: strings.Repeat("a", transport.MaxAddress), Pattern: p, Partitions: 2, RetainBytes: 1 << 40}
		group := strings.Repeat("g", transport.MaxAddress)
		if err := s.transact(func(ch *amqp.Channel) error { return declareAll(b, ch, c, group) }); err != nil {
			t.Errorf("declaring a %v = %v; want nil", p, err)
		}
	}
	declare := func(bytes int) error {
		return s.transact(func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare("q", true, false, false, false, amqp.Table{"x": strings.Repeat("x", bytes)})
			return err
		})
	}
	if err := declare(0); err != nil {
		t.Fatalf("QueueDeclare = %v; want nil", err)
	}
	if err := declare(longestPiece - w.lastDeclared()); err != nil {
		t.Fatalf("QueueDeclare of a long argument = %v; want nil", err)
	}
	if n := w.lastDeclared(); n != longestPiece {
		t.Errorf("the longest frame has %d bytes; want %d", n, longestPiece)
	}
	s.close()
	w.check(t)
}

// declareAll makes everything that a Broker declares.
func declareAll(b *Broker, ch *amqp.Channel, c transport.Channel, group string) error {
	for _, declare := range []func() error{
		func() error { return b.layLadder(ch) },
		func() error { return b.lay(ch, c) },
		func() error { return b.layGroup(ch, c, group) },
		func() error { return b.settle(ch) },
		func() error { _, err := b.layTime(ch, "TIME."+strings.Repeat("t", 26)); return err },
		func() error { return ch.Qos(maxPrefetch, 0, false) },
		func() error { return ch.Ack(1<<63, true) },
	} {
		if err := declare(); err != nil {
			return err
		}
	}
	return nil
}

// written notes what the library writes, a piece for each call.
type written struct {
	*wire
	mu     sync.Mutex
	pieces [][]byte
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.pieces = append(w.pieces, bytes.Clone(p))
	w.mu.Unlock()
	return w.wire.Write(p)
}

// check fails t where a piece is not made of whole frames. The first begins with the protocol's name.
func (w *written) check(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, piece := range w.pieces {
		rest := piece
		if n == 0 {
			rest = bytes.TrimPrefix(rest, []byte("AMQP\x00\x00\x09\x01"))
		}
		for len(rest) > 0 {
			size := frameSize(rest)
			if size > len(rest) || rest[size-1] != frameEnd {
				t.Fatalf("piece %d of %d, %d bytes: its last %d are a part of a frame of %d; want whole frames alone, as others "+
					"are written between two pieces", n+1, len(w.pieces), len(piece), len(rest), size)
			}
			rest = rest[size:]
		}
	}
}

// lastDeclared is the size of the frame that declared the last queue; what an upgrade of the library wrote in several
// pieces counts as a whole.
func (w *written) lastDeclared() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := 0
	for rest := bytes.Join(w.pieces, nil)[8:]; len(rest) > 0; rest = rest[frameSize(rest):] {
		if rest[0] == frameMethod && binary.BigEndian.Uint32(rest[frameStart:]) == queueDeclare {
			size = frameSize(rest)
		}
	}
	return size
}

// frameSize is the size of the frame that begins b, all of it.
func frameSize(b []byte) int {
	if len(b) < frameStart {
		return frameStart + 1
	}
	return frameStart + int(binary.BigEndian.Uint32(b[3:])) + 1
}

// answerAll is a server that agrees to everything, until the connection ends.
func answerAll(t *testing.T, conn net.Conn) {
	defer conn.Close()
	said := func(channel uint16, method uint32, rest ...byte) {
		b, begin := beginFrame(nil, frameMethod, channel)
		if _, err := conn.Write(endFrame(append(binary.BigEndian.AppendUint32(b, method), rest...), begin)); err != nil {
			t.Errorf("the server writes: %v; want nil", err)
		}
	}
	name := make([]byte, 8)
	if _, err := io.ReadFull(conn, name); err != nil {
		t.Errorf("the server reads: %v; want the protocol's name", err)
		return
	}
	said(0, 10<<16|10, append([]byte{0, 9, 0, 0, 0, 0, 0, 0, 0, 5}, "PLAIN\x00\x00\x00\x05en_US"...)...)
	for {
		head := make([]byte, frameStart)
		if _, err := io.ReadFull(conn, head); err != nil {
			return // the end
		}
		rest := make([]byte, frameSize(head)-frameStart)
		if _, err := io.ReadFull(conn, rest); err != nil {
			t.Errorf("the server reads: %v; want all of a frame", err)
			return
		}
		switch channel, method := binary.BigEndian.Uint16(head[1:]), binary.BigEndian.Uint32(rest); method {
		case 10<<16 | 11: // who the client is
			said(channel, 10<<16|30, 0, 100, 0, 2, 0, 0, 0, 0) // channels, bytes of a frame, no heartbeats
		case 10<<16 | 31, basicAck: // have no answer
		default: // has one, whose method is the next
			said(channel, method+1, make([]byte, answerBytes[method])...)
		}
	}
}

// answerBytes is how much follows the method of an answer, by what is asked.
var answerBytes = map[uint32]int{
	10<<16 | 40:  1, // connection.open: a short string
	20<<16 | 10:  4, // channel.open: a long string
	queueDeclare: 9, // a short string and two numbers
	50<<16 | 40:  4, // queue.delete: a number
	60<<16 | 20:  1, // basic.consume: a short string
}

const queueDeclare = 50<<16 | 10
