package rabbitmq

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// link keeps one connection up, for as long as it takes.
type link struct {
	dialer  *dialer
	what    string // it is for, as the server's tools show it
	confirm bool   // it is for publishing
	twin    *link  // of the same Broker: what it finds out about the server is true here, too

	mu      sync.Mutex
	session *session // nil = there is none
	why     error    // there is none
	changed chan struct{}
}

func newLink(d *dialer, what string, confirm bool) *link {
	return &link{dialer: d, what: what, confirm: confirm, changed: make(chan struct{})}
}

// open is the first connection.
func (l *link) open(ctx context.Context) error {
	s, err := l.begin(ctx)
	if err == nil {
		l.set(s, nil)
	}
	return err
}

func (l *link) begin(ctx context.Context) (*session, error) {
	conn, out, err := l.dialer.dial(ctx, l.what)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = out.Conn.Close() }) // of a server that falls silent right now
	s, err := newSession(conn, out, l.confirm)
	if !stop() && err == nil {
		s.close()
		return nil, fmt.Errorf("open a channel: %w", context.Cause(ctx))
	}
	return s, err
}

// keep replaces the connection whenever it is lost, until ctx is done; then it closes it.
func (l *link) keep(ctx context.Context) {
	pause := minPause // grows while sessions do not come, or do not last
	for {
		s, _, _ := l.now()
		if s != nil {
			select {
			case <-s.lost:
			case <-ctx.Done():
			}
			s.close()
			l.set(nil, s.reason())
			if time.Since(s.born) > time.Second { // else it fails again and again
				pause = minPause
			}
		}
		if s == nil || time.Since(s.born) < time.Second {
			l.rest(ctx, pause/2+rand.N(pause/2))
			pause = min(2*pause, maxPause)
		}
		if ctx.Err() != nil {
			return
		}
		s, err := l.begin(ctx)
		l.set(s, err)
	}
}

// rest waits before the next connection is tried, but no longer than until the twin has found the server again.
func (l *link) rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	before, _, changed := l.twin.now()
	for {
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case <-changed:
		}
		var s *session
		if s, _, changed = l.twin.now(); s != nil && s != before {
			return
		}
	}
}

// now is the present session; nil = there is none, and why. changed is closed when that changes.
func (l *link) now() (s *session, why error, changed <-chan struct{}) { //nolint:revive,staticcheck // the error is no failure of now
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session, l.why, l.changed
}

func (l *link) set(s *session, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session, l.why = s, why
	close(l.changed)
	l.changed = make(chan struct{})
}

// wait is now, but waits for a session until ctx is done.
func (l *link) wait(ctx context.Context) (*session, error) {
	for {
		s, why, changed := l.now()
		if s != nil && s.alive() {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if why != nil {
				return nil, fmt.Errorf("no connection: %w: %w", context.Cause(ctx), why)
			}
			return nil, fmt.Errorf("no connection: %w", context.Cause(ctx))
		}
	}
}
