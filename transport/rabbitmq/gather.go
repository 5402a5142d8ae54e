package rabbitmq

import (
	"net"
	"runtime"
	"sync"
)

// gather is a connection whose writes gather: Write only appends, and a goroutine of its own gives the socket at once
// whatever has come together while the last write was going on. The client library flushes each frame singly, which
// costs a system call for each message and each acknowledgement.
type gather struct {
	net.Conn
	ended chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	wake   sync.Cond     // the buffer has something, or is shut
	buffer []byte        // not written yet
	spare  []byte        // the buffer before, to be used again
	err    error         // why nothing more can be written
	room   chan struct{} // closed when there is room again; nil = nobody waits
}

// gatherLimit is what may wait for the socket before those who publish wait too. Nobody else ever waits.
const gatherLimit = 1 << 20

func newGather(c net.Conn) *gather {
	g := &gather{Conn: c, ended: make(chan struct{})}
	g.wake.L = &g.mu
	go g.write() // its end is g.ended, which Close waits for
	return g
}

// Write implements [net.Conn]. It does not block.
func (g *gather) Write(p []byte) (int, error) {
	err := g.put(func(b []byte) []byte { return append(b, p...) })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// put has add append to what is to be written, one after the other.
func (g *gather) put(add func([]byte) []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	g.buffer = add(g.buffer)
	g.wake.Signal()
	return nil
}

// Close implements [net.Conn]. What has not been written is dropped.
func (g *gather) Close() error {
	err := g.Conn.Close()
	g.fail(net.ErrClosed)
	<-g.ended
	return err
}

// full is nil while there is room to publish, else it is closed once there is.
func (g *gather) full() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil || len(g.buffer) < gatherLimit {
		return nil
	}
	if g.room == nil {
		g.room = make(chan struct{})
	}
	return g.room
}

func (g *gather) write() {
	defer close(g.ended)
	for {
		g.await()
		runtime.Gosched() // who is about to write, too, does so first
		chunk := g.next()
		if chunk == nil {
			return
		}
		if _, err := g.Conn.Write(chunk); err != nil {
			g.fail(err)
			return
		}
	}
}

// await waits for something to write, or that nothing more can be.
func (g *gather) await() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.buffer) == 0 && g.err == nil {
		g.wake.Wait()
	}
}

// next is what has come together; nil = nothing can be written any more.
func (g *gather) next() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return nil
	}
	chunk := g.buffer
	g.buffer, g.spare = g.spare[:0], nil
	if cap(chunk) <= 2*gatherLimit {
		g.spare = chunk // in use until the next call, when it becomes the buffer
	}
	g.freeRoom()
	return chunk
}

// fail ends all writing.
func (g *gather) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	g.wake.Signal()
	g.freeRoom()
}

func (g *gather) freeRoom() {
	if g.room != nil {
		close(g.room)
		g.room = nil
	}
}
