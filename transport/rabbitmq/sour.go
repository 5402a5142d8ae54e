package rabbitmq

import (
	"sync"
	"sync/atomic"
	"time"
)

// sour is what a session knows of places for which the server takes nothing from it. In a cluster, a channel that first
// publishes to a quorum queue while that has no leader may be refused for as long as it lives, also once the queue has one
// and takes what others send (3.10.8 was tried). Only another channel helps.
type sour struct {
	some  atomic.Bool // since is not empty
	mu    sync.Mutex
	since map[[2]string]time.Time // by exchange and key: the first refusal after the last confirmation
}

// sourAfter is for how long everything for a place is refused before another connection is tried: longer than an
// election takes.
const sourAfter = 3 * time.Second

// took notes that the server has confirmed p.
func (s *session) took(p *parcel) {
	if !s.sour.some.Load() {
		return
	}
	s.sour.mu.Lock()
	defer s.sour.mu.Unlock()
	delete(s.sour.since, [2]string{p.exchange, p.key})
	s.sour.some.Store(len(s.sour.since) > 0)
}

// refused notes that the server has not taken p, though nothing can be full, and breaks the connection where it has taken
// nothing for that place for long: the link makes another one.
func (s *session) refused(p *parcel, now time.Time) {
	s.sour.mu.Lock()
	defer s.sour.mu.Unlock()
	place := [2]string{p.exchange, p.key}
	first, before := s.sour.since[place]
	switch {
	case !before:
		if s.sour.since == nil {
			s.sour.since = make(map[[2]string]time.Time)
		}
		s.sour.since[place] = now
		s.sour.some.Store(true)
	case now.Sub(first) >= sourAfter:
		_ = s.out.Conn.Close() // broken already is fine
	}
}
