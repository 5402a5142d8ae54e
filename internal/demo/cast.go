package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cast is the processes of the demo. It starts again whatever ends without having been told to. Safe for concurrent use.
type Cast struct {
	executable string
	logs       string   // directory of what the processes log
	outside    string   // directory of the outside logs
	env        []string // of each process
	tell       *teller
	fail       context.CancelCauseFunc // called when a process cannot be kept running

	starts  chan func() // run on the one thread that starts processes
	keepers sync.WaitGroup

	mu        sync.Mutex
	processes []*process // in the order of their start
}

const (
	// shortLife: a process that ends sooner has failed to start. So many of those in a row are too many.
	shortLife  = 2 * time.Second
	shortLives = 10
	// longestPause is before a process that keeps failing is started again.
	longestPause = 2 * time.Second
)

// newCast makes an empty cast, which its close ends.
func newCast(executable, dir, runtimeDir string, tell *teller, fail context.CancelCauseFunc) (*Cast, error) {
	c := &Cast{executable: executable, logs: filepath.Join(dir, "logs"), outside: filepath.Join(dir, "outside"), tell: tell, fail: fail, starts: make(chan func())}
	for _, dir := range []string{c.logs, c.outside} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("directory of logs: %w", err)
		}
	}
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PARLEY_") { // nothing of the user's own network
			c.env = append(c.env, entry)
		}
	}
	c.env = append(c.env, "PARLEY_RUNTIME_DIR="+runtimeDir)
	c.keepers.Add(1)
	go c.starter()
	return c, nil
}

// Names are the processes that are kept running, in the order of their start; the first is the broker's.
func (c *Cast) Names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, p := range c.processes {
		names = append(names, p.name)
	}
	return names
}

// Kill ends a process with SIGKILL, and it is started again at once.
func (c *Cast) Kill(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.processes, func(p *process) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("kill %s: no such process is kept running", name)
	}
	if err := c.processes[i].kill(); err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	return nil
}

// Outside reads the outside logs.
func (c *Cast) Outside() (*Outside, error) { return ReadOutside(c.outside) }

// Sayf tells a line of the story.
func (c *Cast) Sayf(format string, args ...any) { c.tell.sayf("", format, args...) }

// start begins to keep a process running.
func (c *Cast) start(name string, args ...string) error {
	p := &process{name: name, args: args, log: filepath.Join(c.logs, name+".log"), stop: make(chan struct{}), gone: make(chan struct{})}
	if err := c.launch(p); err != nil {
		return err
	}
	c.mu.Lock()
	c.processes = append(c.processes, p)
	c.mu.Unlock()
	c.keepers.Go(func() {
		err := c.keep(p)
		close(p.gone)
		if err != nil {
			c.fail(err)
		}
	})
	return nil
}

// change gives a process other arguments for when it is started again.
func (c *Cast) change(name string, args ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.processes {
		if p.name == name {
			p.change(args)
		}
	}
}

// end tells a process to end and returns when it has. Without it that is fine.
func (c *Cast) end(name string) error {
	c.mu.Lock()
	i := slices.IndexFunc(c.processes, func(p *process) bool { return p.name == name })
	if i < 0 {
		c.mu.Unlock()
		return nil
	}
	p := c.processes[i]
	c.processes = slices.Delete(c.processes, i, i+1)
	c.mu.Unlock()
	return p.end()
}

// close ends all processes, the broker's last, and returns when none is left.
func (c *Cast) close() error {
	names := c.Names()
	errs := make([]error, len(names))
	var ending sync.WaitGroup
	for i := len(names) - 1; i >= 0; i-- {
		if i == 0 {
			ending.Wait()
		}
		ending.Go(func() { errs[i] = c.end(names[i]) })
	}
	ending.Wait()
	close(c.starts)
	c.keepers.Wait()
	return errors.Join(errs...)
}

// pids are the processes that run now, this one included.
func (c *Cast) pids() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	pids := []int{os.Getpid()}
	for _, p := range c.processes {
		if pid := p.pid(); pid != 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// keep starts p again whenever it ends, until it is told to. An error says why it is not kept running any more.
func (c *Cast) keep(p *process) error {
	short := 0
	for {
		began := time.Now()
		p.wait()
		if p.told() {
			return nil
		}
		if short++; time.Since(began) >= shortLife {
			short = 0
		}
		if short == shortLives {
			return fmt.Errorf("%s ended %d times right after its start (%w); its log ends with:\n%s", p.name, short, p.ended, p.tail())
		}
		c.tell.sayf("", "%s ended (%v); started again", p.name, p.ended)
		pause := time.NewTimer(min(time.Duration(short)*100*time.Millisecond, longestPause))
		select {
		case <-pause.C:
		case <-p.stop:
			pause.Stop()
			return nil
		}
		if err := c.launch(p); err != nil {
			return err
		}
	}
}

// launch starts p once, on the thread of starter.
func (c *Cast) launch(p *process) error {
	started := make(chan error)
	c.starts <- func() { started <- p.start(c.executable, c.env) }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	return nil
}

// starter has one thread for as long as the cast is open: Linux ends processes with the thread that started them.
func (c *Cast) starter() {
	defer c.keepers.Done()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for start := range c.starts {
		start()
	}
}
