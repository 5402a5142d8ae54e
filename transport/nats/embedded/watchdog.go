package embedded

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// watchdog restarts the server when it cannot write any longer: a channel whose disk was full stays closed to all
// messages until the server has started anew, also when there is room again. Connections come back by themselves.
func (s *Server) watchdog() {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for sick := 0; ; {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		why := s.ailment()
		if why == "" {
			sick = 0
			continue
		}
		if sick++; sick < 2 { // a restart costs all connections: look twice
			continue
		}
		s.say(fmt.Sprintf("the broker cannot write: %s: it is started anew", why))
		s.restart()
		sick = 0
	}
}

// ailment is why the server is unwell, "" when it is well.
func (s *Server) ailment() string {
	s.mu.Lock()
	now := s.now
	s.mu.Unlock()
	if now == nil {
		return ""
	}
	if !now.JetStreamEnabled() {
		return "its storage is switched off"
	}
	// What is being made or removed is told as unwell for a moment; only a write error lasts until a restart.
	for _, e := range now.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(e.Error, "write error") {
			return e.Error
		}
	}
	return ""
}

// restart replaces the server. If the new one does not start, the next tick tries again: connections are refused meanwhile.
func (s *Server) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil { // closed meanwhile
		return
	}
	s.now.Shutdown()
	s.now.WaitForShutdown()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	next, err := s.launch(ctx)
	if err != nil {
		s.say(fmt.Sprintf("the broker does not start: %v: it is tried again in %v", err, 2*checkEvery))
		return
	}
	s.now = next
}

func (s *Server) say(line string) {
	if s.warn != nil {
		s.warn(line)
	}
}
