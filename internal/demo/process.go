package demo

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one that is kept running.
type process struct {
	name string
	log  string        // file
	stop chan struct{} // closed when it is told to end
	gone chan struct{} // closed when it is not kept running any more

	mu    sync.Mutex
	args  []string
	cmd   *exec.Cmd // nil = it does not run
	ended error     // how it did last; written by wait
}

const (
	// stopLimit is how long a process has for an orderly end.
	stopLimit = 15 * time.Second
	// dumpLimit is how long one has that hangs to say where.
	dumpLimit = 2 * time.Second
)

// start runs the process, unless it has been told to end.
func (p *process) start(executable string, env []string) error {
	log, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has its own descriptor
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told() {
		return nil
	}
	cmd := exec.Command(executable, p.args...) //nolint:gosec,noctx // this program; it is ended in order and not by a context
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = env, log, log, attributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	return nil
}

// wait waits until the process has ended.
func (p *process) wait() {
	p.mu.Lock()
	cmd := p.cmd
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	err := cmd.Wait() // ProcessState says more
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.ended = nil, errors.New(cmd.ProcessState.String())
	if p.told() && (err == nil || p.ended.Error() == "signal: terminated") { // the latter: it had hardly begun
		p.ended = nil
	}
}

// end tells the process to end, and aborts it when it does not within stopLimit. One that is kept running no more has ended.
func (p *process) end() error {
	select {
	case <-p.gone:
		return nil
	default:
	}
	p.mu.Lock()
	close(p.stop)
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that has ended or knows no signals: see below
	}
	p.mu.Unlock()
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-p.gone:
	case <-limit.C:
		p.abort()
		return fmt.Errorf("%s did not end within %v of being told to; where it hung is at the end of %s", p.name, stopLimit, p.log)
	}
	if p.ended != nil {
		return fmt.Errorf("%s ended badly (%w); its log ends with:\n%s", p.name, p.ended, p.tail())
	}
	return nil
}

// abort has the process log what each of its goroutines does, kills it, and returns when it is gone.
func (p *process) abort() {
	p.mu.Lock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // one that knows no signals is just killed
	}
	p.mu.Unlock()
	limit := time.NewTimer(dumpLimit)
	defer limit.Stop()
	select {
	case <-p.gone:
	case <-limit.C:
		_ = p.kill()
		<-p.gone
	}
}

func (p *process) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return os.ErrProcessDone
	}
	return p.cmd.Process.Kill()
}

// told reports whether the process has been told to end.
func (p *process) told() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// pid is 0 while it does not run.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

func (p *process) change(args []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.args = args
}

// tail is the end of the log.
func (p *process) tail() string {
	const lines = 8
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
