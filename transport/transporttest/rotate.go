package transporttest

import (
	"context"
	"time"

	"github.com/parley-io/parley/transport"
)

const (
	// unlearnt is for how long a rotated password is not known to those who need it: longer than drivers wait between their
	// first tries to connect.
	unlearnt = 3 * time.Second
	// relogin is by when everything goes on once it is known: resume, and what a busy machine may add.
	relogin = 30 * time.Second
	// mostTries to connect with a wrong password a second, of one Broker: a pause of 100 ms between two, on two connections.
	mostTries = 20
)

func passwordRotated(ctx context.Context, s *Scene, site Site) {
	if site.Rotate == nil {
		s.NotRunf("the target cannot give its user another password: no Rotate")
	}
	log, other, l := newAccount(), site.Connect(ctx, s), s.link()
	var b transport.Broker
	if site.Through != nil {
		b = l.connect(ctx, site)
	} else {
		b = site.Connect(ctx, s)
	}
	c := s.channel(ctx, b, transport.Queue, 4)
	s.declare(ctx, other, c)
	s.receive(ctx, other, transport.Route{Channel: c}, log.take(""))
	load, rounds, slowest := s.press(ctx, log, b, c), s.Count(2, 20), time.Duration(0)
	for round := range rounds {
		before := log.count("")
		log.until(ctx, func() bool { return log.count("") >= before+10*publishers })
		learn, err := site.Rotate(ctx)
		if err != nil {
			s.Fatalf("giving the user another password: %v", err)
		}
		began, tried := time.Now(), l.begun.Load()
		load.away.Store(true)
		s.loginRefused(ctx, site)
		time.Sleep(unlearnt - time.Since(began))
		load.away.Store(false)
		if tries, most := l.begun.Load()-tried, mostTries*int64(time.Since(began)/time.Second); tries > most {
			s.Errorf("got %d tries to connect with the old password in %v; want pauses between: at most %d a second", tries, time.Since(began), mostTries)
		}
		if err := learn(); err != nil {
			s.Fatalf("telling the new password: %v", err)
		}
		known := time.Now()
		soon, cancel := context.WithTimeout(ctx, relogin)
		s.resumed(soon, b, message(c, "learnt", "", round), log)
		cancel()
		slowest = max(slowest, time.Since(known))
	}
	load.stop()
	log.settled(ctx, "")
	log.empty(ctx, s, other, c, "")
	log.verify(s, "", faults{Duplicates: true})
	s.Notef("password rotated %d times, everything in use again %v after the new one was known: %s, %d sends and %d connections begun meanwhile",
		rounds, slowest.Round(time.Millisecond), log.summary(), load.failed.Load(), l.begun.Load())
	if load.failed.Load() == 0 {
		s.Errorf("got no send while nobody knew the new password; want some, else nothing was tried")
	}
}

// loginRefused wants a connection with a password that is right no longer refused, in words of its own.
func (s *Scene) loginRefused(ctx context.Context, site Site) {
	soon, cancel := context.WithTimeout(ctx, answered)
	defer cancel()
	b, err := site.Open(soon)
	if err == nil {
		s.owned(b, nil)
	}
	if code := transport.CodeOf(err); soon.Err() != nil || code != transport.Unauthenticated && code != transport.PermissionDenied {
		s.Errorf("connecting with the old password = %v; want %s within %v", err, transport.Unauthenticated, answered)
	}
}
