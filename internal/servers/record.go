package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Record is what another process must know of a server to find and end it, for those that are started detached.
type Record struct {
	Kind      Kind      `json:"kind"`
	URL       string    `json:"url"`       // with the password
	Dir       string    `json:"dir"`       // removed at Stop; "" where [Options.Dir] named it
	Processes []Process `json:"processes"` // in the order of starting; the last one is the server itself
}

// Process is one of the operating system, of which a number alone says little: numbers are used again.
type Process struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Began string `json:"began"` // as the system tells it; to be compared only
}

// Record is that of a server that has been started and not stopped.
func (s *Server) Record() (Record, error) {
	r := Record{Kind: s.kind, URL: s.URL}
	if s.options.Dir == "" {
		r.Dir = s.dir
	}
	for _, p := range s.running {
		r.Processes = append(r.Processes, Process{Name: p.name, PID: p.cmd.Process.Pid, Began: p.began})
	}
	return r, s.ours("record")
}

// Running tells whether the server's own process runs still.
func (r Record) Running() bool {
	return len(r.Processes) > 0 && r.Processes[len(r.Processes)-1].Running()
}

// Stop ends the server in order, by force where it does not within 30 s or ctx, and removes its directory. A number that
// belongs to another process by now is left alone.
func (r Record) Stop(ctx context.Context) error {
	var failed []error
	for i := len(r.Processes) - 1; i >= 0; i-- {
		failed = append(failed, r.Processes[i].stop(ctx))
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("stopping %s, whose files stay in %s: %w", r.Kind, r.Dir, err)
	}
	return os.RemoveAll(r.Dir)
}

// Running tells whether this very process runs still.
func (p Process) Running() bool {
	at, err := began(p.PID)
	return err == nil && at == p.Began
}

func (p Process) stop(ctx context.Context) error {
	if !p.Running() {
		return nil
	}
	_ = syscall.Kill(p.PID, syscall.SIGCONT) // one that is frozen could not end
	_ = syscall.Kill(p.PID, syscall.SIGTERM) // fails where it has just ended
	if p.ended(ctx, stopLimit) {
		return nil
	}
	_ = syscall.Kill(p.PID, syscall.SIGKILL) // as above
	if !p.ended(context.WithoutCancel(ctx), killLimit) {
		return fmt.Errorf("%s, process %d, does not end; by hand: kill -9 %d", p.Name, p.PID, p.PID)
	}
	return nil
}

// ended waits for the end of a process that is not a child.
func (p Process) ended(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for p.Running() {
		select {
		case <-ctx.Done():
			return !p.Running()
		case <-tick.C:
		}
	}
	return true
}
