package transporttest

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/transport"
)

// link is a network between a driver and its broker: it listens in the broker's stead and passes on what comes, until it
// is told to behave like a worse one.
type link struct {
	scene *Scene
	begun atomic.Int64 // connections, those that were broken at once included

	mu    sync.Mutex
	over  bool
	wires map[*wire]struct{}
	way   condition // of all of them
}

// wire is a connection of a driver with the broker.
type wire struct {
	ends   [2]net.Conn // the driver's and the broker's
	silent [2]bool     // what that end says goes nowhere, its good-bye too; guarded by the link's mu
}

// condition is how a link passes on: pieces of some bytes at the most, each after a wait. The zero condition is a good
// one.
type condition struct {
	name  string
	piece int
	wait  func() time.Duration
}

// The conditions of a bad network, as a stream of bytes shows them.
var (
	// far is half a second there and back, more than any continent needs.
	far = condition{"200 ms of latency each way", 32 << 10, func() time.Duration { return 200 * time.Millisecond }}
	// lossy loses 3 packets of 10, each of which TCP sends again after its smallest timeout or the double.
	lossy = condition{"a loss of 30%", 1460, func() time.Duration {
		if rand.IntN(10) < 3 {
			return time.Duration(200+rand.IntN(200)) * time.Millisecond
		}
		return 0
	}}
	// narrow lets 1 KiB a second pass.
	narrow = condition{"1 KiB/s", 128, func() time.Duration { return time.Second / 8 }}
)

// direction is one way of a link, by the end of a wire that speaks.
type direction int

const (
	toBroker direction = 0
	toDriver direction = 1
)

func (d direction) String() string {
	return [...]string{"from the driver to the broker", "from the broker to the driver"}[d]
}

// link makes one that ends with the scene.
func (s *Scene) link() *link {
	l := &link{scene: s, wires: make(map[*wire]struct{})}
	s.Defer(func(context.Context) error {
		l.mu.Lock()
		l.over = true
		l.mu.Unlock()
		l.cut()
		return nil
	})
	return l
}

// connect opens a connection through l that is closed with the scene.
func (l *link) connect(ctx context.Context, site Site) transport.Broker {
	if site.Through == nil {
		l.scene.NotRunf("the target cannot be reached through another address: no Through")
	}
	b, err := site.Through(ctx, func(address string) string { return l.to(ctx, address) })
	return l.scene.owned(b, err)
}

// to answers an address that stands in for the broker's.
func (l *link) to(ctx context.Context, address string) string {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		l.scene.Fatalf("making a network: %v", err)
	}
	l.scene.Defer(func(context.Context) error { return listener.Close() })
	l.scene.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed with the scene
			}
			l.join(ctx, client, address)
		}
	})
	return listener.Addr().String()
}

// join connects a driver with the broker, or breaks its connection as an absent broker's machine does.
func (l *link) join(ctx context.Context, client net.Conn, address string) {
	l.begun.Add(1)
	broker, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		reset(client)
		return
	}
	w := &wire{ends: [2]net.Conn{client, broker}}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		w.cut()
		return
	}
	l.wires[w] = struct{}{}
	for end := range w.ends {
		l.scene.Go(func() { l.pass(w, end) })
	}
}

// pass passes on what one end of a wire says until that is over; then it ends the other one too. Of a wire with a silent
// end neither learns anything about the other.
func (l *link) pass(w *wire, end int) {
	from, to := w.ends[end], w.ends[1-end]
	defer from.Close() //nolint:errcheck // it may be broken
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !l.write(w, end, buffer[:n]) {
			break
		}
	}
	l.mu.Lock()
	half := w.silent[0] || w.silent[1]
	if !half {
		delete(l.wires, w)
	}
	l.mu.Unlock()
	if half {
		_, _ = io.Copy(io.Discard, from) // until it gives up, or the wire is cut
		return
	}
	_ = to.Close()
}

// write passes on what an end of w has said, as the link is at each moment, and reports whether it may go on.
func (l *link) write(w *wire, end int, rest []byte) bool {
	for len(rest) > 0 {
		way, silent := l.now(w, end)
		piece := rest
		if way.wait != nil {
			piece = rest[:min(len(rest), way.piece)]
			time.Sleep(way.wait())
			_, silent = l.now(w, end)
		}
		if silent {
			return false
		}
		if _, err := w.ends[1-end].Write(piece); err != nil {
			return false
		}
		rest = rest[len(piece):]
	}
	return true
}

// now is how a link passes on what an end of w says, and whether that goes nowhere.
func (l *link) now(w *wire, end int) (way condition, silent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.way, w.silent[end]
}

// cut breaks all connections, as a machine does that was switched off and on: both ends learn of it with their next word.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.wires {
		w.cut()
	}
}

// silence has nothing arrive any more of one direction of the present connections, which both ends take for good ones. New
// connections are. It answers how many it has silenced.
func (l *link) silence(d direction) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.wires {
		w.silent[d] = true
	}
	return len(l.wires)
}

// become is how everything is passed on from now on, on the present connections too.
func (l *link) become(way condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.way = way
}

func (w *wire) cut() {
	for _, c := range w.ends {
		reset(c)
	}
}

// reset ends a connection without a good-bye.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // what is closed already needs none
	}
	_ = c.Close()
}
