package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// measureEvery is how often the watchdog looks at the disk, and whether the server has told of an error.
	measureEvery = 100 * time.Millisecond
	// checkEvery is how often the watchdog asks the server whether it is well, if it has told of no error.
	checkEvery = 5 * time.Second
	// Between tries to start anew: at first, and at most.
	firstPause = time.Second
	lastPause  = 10 * time.Second
	// calm is how long a server must have been well for the next one to be started without a pause.
	calm = time.Minute
)

const storageOff = "its storage is switched off"

// watchdog keeps the server's limit up to date, and replaces the server when it cannot write any longer: a channel whose
// disk was full stays closed to all messages until the server has started anew, also when there is room again.
func (s *Server) watchdog(ctx context.Context) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	checked := time.Now()
	var replaced time.Time
	var pause time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.measure()
		if !s.alarmed.Swap(false) && time.Since(checked) < checkEvery {
			continue
		}
		checked = time.Now()
		if why := s.ailment(); why != "" {
			s.say(fmt.Sprintf("the broker cannot write: %s: it is started anew as soon as it can", why))
			if pause = longer(pause); time.Since(replaced) > calm {
				pause = 0
			}
			pause = s.replace(ctx, why, pause)
			replaced = time.Now()
		}
	}
}

// ailment is why the server is unwell, "" when it is well.
func (s *Server) ailment() string {
	now := s.running()
	if now == nil {
		return ""
	}
	if !now.JetStreamEnabled() {
		return storageOff
	}
	// What is being made or removed is told as unwell for a moment; only a write error lasts until a restart.
	for _, e := range now.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(e.Error, "write error") {
			return e.Error
		}
	}
	return ""
}

// replace ends the server, so that whoever waits for it learns that at once, and starts another one in its place after
// a pause and when something can be stored again. Connections come back by themselves. It returns the pause that it took.
func (s *Server) replace(ctx context.Context, why string, pause time.Duration) time.Duration {
	s.leave(fmt.Errorf("embedded broker: it cannot write: %s: it is being started anew", why))
	for {
		err := s.settle(ctx, pause)
		if err == nil {
			err = s.relaunch(ctx)
		}
		if err == nil || ctx.Err() != nil {
			return pause
		}
		pause = longer(pause)
		s.say(fmt.Sprintf("the broker does not start: %v: it is tried again in %v", err, pause))
		s.leave(fmt.Errorf("embedded broker: it does not start: %w", err))
	}
}

// longer is the pause after one that was too short.
func longer(pause time.Duration) time.Duration { return min(max(2*pause, firstPause), lastPause) }

// settle waits for a pause, and until something can be stored in the directory.
func (s *Server) settle(ctx context.Context, pause time.Duration) error {
	begin := time.Now()
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		err := s.probe()
		if err == nil && time.Since(begin) >= pause {
			return nil
		}
		if err != nil {
			s.leave(fmt.Errorf("embedded broker: %w", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (s *Server) relaunch(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("recovery takes too long"))
	defer cancel()
	n, err := s.launch(ctx)
	if err != nil {
		return err
	}
	s.alarmed.Store(false)
	s.come(n)
	s.say("the broker has been started anew")
	return nil
}

func (s *Server) say(line string) {
	if s.warn != nil {
		s.warn(line)
	}
}
