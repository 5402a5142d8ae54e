package transporttest

import (
	"bufio"
	"context"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a worker that runs, in a process of its own or in this one.
type process struct {
	die    func()       // as SIGKILL
	leave  func()       // as SIGTERM
	freeze func() error // as SIGSTOP
	thaw   func() error // as SIGCONT
	exiled bool         // once frozen, its connection is broken for good
	ended  chan struct{}
	err    error // of a process that left, once ended
}

// kill ends the process as SIGKILL does, and returns when its last line has been heard.
func (p *process) kill() {
	p.die()
	<-p.ended
}

// process starts a worker; hear gets each line that it says. It is killed with the scene at the latest.
func (t Site) process(ctx context.Context, s *Scene, hear func(words []string), args ...string) *process {
	var p *process
	switch {
	case t.Command != nil:
		p = t.child(ctx, s, hear, args)
	case t.Crash != nil:
		p = t.simulated(ctx, s, hear, args)
	default:
		s.NotRunf("the target cannot kill a client: neither Command nor Crash")
	}
	s.Defer(func(context.Context) error {
		p.kill()
		return nil
	})
	return p
}

func (t Site) child(ctx context.Context, s *Scene, hear func([]string), args []string) *process {
	cmd := t.Command(ctx, args...)
	lines, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.Fatalf("starting a process to %v: %v", args, err)
	}
	p := &process{
		ended:  make(chan struct{}),
		die:    func() { _ = cmd.Process.Kill() }, // it may have ended
		leave:  func() { _ = cmd.Process.Signal(syscall.SIGTERM) },
		freeze: func() error { return freeze(cmd.Process) },
		thaw:   func() error { return thaw(cmd.Process) },
	}
	s.Go(func() {
		defer close(p.ended)
		listen(lines, hear)
		p.err = cmd.Wait()
	})
	return p
}

// detection is how long a broker takes to notice that a simulated process is frozen: about as long as real ones do.
const detection = 6 * time.Second

// simulated runs the worker on a connection of its own. Kill breaks that before it silences the worker, so that
// whatever was said in between changed nothing at the broker. While the worker is frozen, the broker gives up its
// connection, which does not come back; the worker learns of that when it is thawed.
func (t Site) simulated(ctx context.Context, s *Scene, hear func([]string), args []string) *process {
	b, g := t.Connect(ctx, s), newGate()
	working, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	crash := sync.OnceValue(func() error { return t.Crash(b) })
	p := &process{ended: make(chan struct{}), leave: cancel, exiled: true}
	p.die = sync.OnceFunc(func() {
		if err := crash(); err != nil {
			s.Errorf("breaking a connection: %v", err)
		}
		_ = w.Close()
		cancel()
		g.thaw()
	})
	p.freeze = func() error {
		g.freeze()
		time.Sleep(detection)
		return crash()
	}
	p.thaw = func() error {
		g.thaw()
		return nil
	}
	s.Go(func() {
		p.err = work(working, b, args, w, g) // an error if its connection was broken
		_ = w.Close()
	})
	s.Go(func() {
		defer close(p.ended)
		listen(r, hear)
	})
	return p
}

func listen(r io.Reader, hear func([]string)) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		hear(strings.Fields(lines.Text()))
	}
}

// gate holds who passes it while it is frozen. A nil gate holds nobody.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed unless frozen
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

func (g *gate) pass() {
	if g == nil {
		return
	}
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	<-open
}

func (g *gate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

// thaw may be called at any time.
func (g *gate) thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}
