package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/transport/transporttest"
)

// process is a worker that runs or has run.
type process struct {
	task
	name string
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended and its last line was heard
	err  error         // once gone

	// Guarded by the book's mu.
	ready, done            bool
	begun                  int // handlers
	figures                []figure
	problems               []string
	killed, frozen, thawed time.Time // zero = never
}

// told takes a line that concerns no message. The book's mu is held.
func (p *process) told(words []string) {
	switch {
	case len(words) == 1 && words[0] == "ready":
		p.ready = true
	case len(words) == 1 && words[0] == "done":
		p.done = true
	case len(words) == 3 && words[0] == "figure":
		p.figures = append(p.figures, figure{words[1], words[2]})
	case len(words) > 1 && words[0] == "note":
		p.figures = append(p.figures, figure{p.name + " said", strings.Join(words[1:], " ")})
	case len(words) > 1 && words[0] == "wrong":
		p.problems = append(p.problems, strings.Join(words[1:], " "))
	}
}

// crew are the workers of a run. Not for concurrent use, but for its book.
type crew struct {
	book    *book
	dir     string // of what the workers write on standard error
	hearing sync.WaitGroup
	all     []*process
}

// start starts a worker. It is not ready yet.
func (c *crew) start(ctx context.Context, t task) (*process, error) {
	role, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(c.dir, t.Name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the process has its own descriptor
	p := &process{task: t, name: t.Name, gone: make(chan struct{}), cmd: transporttest.Child(context.WithoutCancel(ctx), "work", string(role))}
	p.cmd.Stderr = log
	lines, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", t.Name, err)
	}
	c.all = append(c.all, p)
	c.hearing.Go(func() {
		defer close(p.gone)
		for scanner := bufio.NewScanner(lines); scanner.Scan(); {
			c.book.hear(p, scanner.Text())
		}
		p.err = p.cmd.Wait()
	})
	return p, nil
}

// kill ends a process with SIGKILL.
func (c *crew) kill(p *process) {
	c.book.note(fault{what: "kill of " + p.name, of: p, from: time.Now(), until: time.Now()})
	c.book.with(func() { p.killed = time.Now() })
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.gone
}

// freeze stops a process where it is.
func (c *crew) freeze(p *process) error {
	c.book.with(func() { p.frozen, p.thawed = time.Now(), time.Time{} })
	return p.cmd.Process.Signal(syscall.SIGSTOP)
}

func (c *crew) thaw(p *process) error {
	now := time.Now()
	c.book.with(func() { p.thawed = now })
	c.book.note(fault{what: "freeze of " + p.name, of: p, from: p.frozen, until: now})
	return p.cmd.Process.Signal(syscall.SIGCONT)
}

// leave tells a process to end in order, and waits for that.
func (c *crew) leave(ctx context.Context, p *process) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.gone:
	case <-ctx.Done():
		c.dump(p)
		return fmt.Errorf("%s still runs after it was told to end: %w; its log is in %s", p.name, ctx.Err(), c.dir)
	}
	if p.err != nil && p.killed.IsZero() {
		return fmt.Errorf("%s ended with %w; its log is in %s", p.name, p.err, c.dir)
	}
	return nil
}

// dump has a process that hangs write into its log where its goroutines are, and end.
func (c *crew) dump(p *process) {
	const patience = 10 * time.Second
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
	select {
	case <-p.gone:
	case <-time.After(patience):
	}
}

// end kills all that still run and waits until they have ended.
func (c *crew) end() {
	for _, p := range c.all {
		_ = p.cmd.Process.Kill() // most have ended
	}
	c.hearing.Wait()
}

// readyLimit is for a worker to be ready, also on a busy machine and while its broker is killed.
const readyLimit = 2 * time.Minute

// ready waits until processes that handle receive.
func (c *crew) ready(ctx context.Context, processes ...*process) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for _, p := range processes {
		err := c.book.until(ctx, func() bool { return p.ready || p.done })
		if ended := gone(p); ended && err == nil {
			err = errors.New("it has ended")
		}
		if err != nil {
			c.dump(p)
			return fmt.Errorf("%s is not ready: %w; its log is in %s", p.name, err, c.dir)
		}
	}
	return nil
}

func gone(p *process) bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}
