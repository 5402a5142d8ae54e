package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// startLimit is how long a server has to serve: seconds, unless it shares two cores with a whole test run.
	startLimit = 3 * time.Minute
	// stopLimit is how long it has for an orderly end.
	stopLimit = 30 * time.Second
	// killLimit is how long one may take to be gone that was killed, where its parent is another.
	killLimit = 10 * time.Second
	// interval is how often a starting or ending one is looked at.
	interval = 25 * time.Millisecond
)

// program is how a process is started, and started again.
type program struct {
	name     string
	path     string
	args     []string
	env      []string
	dir      string
	log      string // file that its output is appended to
	ready    string // what it says when it serves; "" means that a connection to address is enough
	address  string // host:port that it listens at
	detached bool   // outlives this process
}

// process is a program that has been started. Not for concurrent use.
type process struct {
	program
	cmd   *exec.Cmd
	began string        // as a [Process] has it
	gone  chan struct{} // closed when it has ended
	from  int64         // where its own output begins in the log
}

// start runs the program and returns when it serves. After an error nothing of it is running.
func (p program) start(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	s, err := p.run()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	if err := s.serving(ctx); err != nil {
		said := s.said()
		return nil, errors.Join(fmt.Errorf("starting %s: %w; its log %s says:\n%s", p.name, err, p.log, excerpt(said)), s.kill())
	}
	return s, nil
}

func (p program) run() (*process, error) {
	log, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the process has its own descriptor
	info, err := log.Stat()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.path, p.args...) //nolint:gosec,noctx // programs that this package installs; they are ended in order and not by a context
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.env, p.dir, log, log, attributes(p.detached)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &process{program: p, cmd: cmd, gone: make(chan struct{}), from: info.Size()}
	s.began, _ = began(cmd.Process.Pid) // fails where it has ended already, which shows soon
	go func() {                         // ends with the process; whoever ends that waits for gone
		defer close(s.gone)
		_ = cmd.Wait() // ProcessState says more
	}()
	return s, nil
}

// serving waits until the process says that it is ready and takes connections.
func (s *process) serving(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-s.gone:
			return fmt.Errorf("it ended by itself: %v", s.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("it does not serve at %s: %w", s.address, ctx.Err())
		case <-tick.C:
		}
		if bytes.Contains(s.said(), []byte(s.ready)) && dial(ctx, s.address) == nil {
			return nil
		}
	}
}

// said is what the process has written so far.
func (s *process) said() []byte {
	b, err := os.ReadFile(s.log)
	if err != nil || int64(len(b)) < s.from {
		return nil
	}
	return b[s.from:]
}

// signal fails where the process has ended.
func (s *process) signal(sig os.Signal) error {
	select {
	case <-s.gone:
		return fmt.Errorf("%s does not run: %w", s.name, os.ErrProcessDone)
	default:
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("%s (pid %d): %v: %w", s.name, s.cmd.Process.Pid, sig, err)
	}
	return nil
}

// freeze stops all threads of the process and returns when they are.
func (s *process) freeze() error {
	if err := s.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for !stopped(s.cmd.Process.Pid) {
		select {
		case <-s.gone:
			return fmt.Errorf("%s ended instead of being frozen: %v", s.name, s.cmd.ProcessState)
		case <-tick.C:
		}
	}
	return nil
}

// kill ends the process at once and waits for its end. One that has ended is no error.
func (s *process) kill() error {
	err := s.signal(syscall.SIGKILL)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err == nil {
		<-s.gone
	}
	return err
}

// stop ends the process in order, and by force where that takes longer than stopLimit or than ctx.
func (s *process) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	_ = s.signal(syscall.SIGCONT) // one that is frozen could not end
	if s.signal(syscall.SIGTERM) != nil {
		return s.kill()
	}
	select {
	case <-s.gone:
		return nil
	case <-ctx.Done():
		return s.kill()
	}
}

// dial tells whether somebody listens at an address.
func dial(ctx context.Context, address string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}
