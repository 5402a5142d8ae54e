package transporttest

import (
	"context"
	"errors"
	"time"

	"github.com/parley-io/parley/transport"
)

func fullChannel(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	const room, size = 1 << 20, 16 << 10
	c := transport.Channel{Address: s.Address(), Pattern: transport.Queue, RetainBytes: room}
	s.declare(ctx, b, c)
	large := func(n int) *transport.Envelope {
		e := message(c, "large", "k", n)
		e.Body = make([]byte, size)
		return e
	}
	refused, n := 0, 0
	for ; refused < 20 && n < 8*room/size; n++ {
		switch err := log.send(ctx, s, b, large(n))[0].Err; {
		case err == nil:
		case !errors.Is(err, transport.ErrNotSent) || errors.Is(err, transport.ErrRefused):
			s.Fatalf("sending to a channel that is full = %v; want ErrNotSent, as it may be repeated when there is room", err)
		default:
			refused++
		}
	}
	if refused == 0 {
		s.Fatalf("got %d messages of %d bytes stored in a channel that may hold %d bytes; want ErrNotSent once it is full", n, size, room)
	}
	s.Notef("%d messages stored before the first one that found no room", log.confirmations())
	r := s.receive(ctx, b, transport.Route{Channel: c}, log.take(""))
	log.settled(ctx, "")
	log.empty(ctx, s, b, c, "")
	soon, cancel := context.WithTimeout(ctx, resume)
	defer cancel()
	s.resumed(soon, b, message(c, "room", "k", 0), log)
	r.stop(ctx, s)
	log.verify(s, "", faults{Duplicates: b.Features().Dedupe == 0}) // what was repeated until there was room
}

func powerLoss(ctx context.Context, s *Scene, site Site) {
	if site.PowerLoss == nil {
		s.NotRunf("the target cannot take its broker's power away: no PowerLoss")
	}
	b := site.Connect(ctx, s)
	if what := b.Features().Survives; what != "power" && what != "node" {
		s.Fatalf("Features.Survives = %q; want a declaration that says so", what)
	}
	s.confirmedSurvives(ctx, b, "its power was lost", s.Count(3, 20), site.PowerLoss)
}

// answered is by when a broker must have said no.
const answered = 30 * time.Second

func deniedUsers(ctx context.Context, s *Scene, site Site) {
	if site.Denied == nil {
		s.NotRunf("the target has no user without rights: no Denied")
	}
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	denied, err := site.Denied(ctx)
	if err != nil { // no right to anything may well include that one
		if errors.Is(err, transport.ErrNotSent) {
			s.Errorf("connecting as a user without rights = %v; want an error that says that trying again is useless", err)
		}
		return
	}
	denied = s.owned(denied, nil)
	soon, cancel := context.WithTimeout(ctx, answered)
	defer cancel()
	final := func(what string, err error) {
		if err == nil || errors.Is(err, transport.ErrNotSent) || soon.Err() != nil {
			s.Errorf("%s as a user without rights = %v; want an error within %v that says that trying again is useless", what, err, answered)
		}
	}
	err = denied.Declare(soon, []transport.Channel{{Address: s.Address(), Pattern: transport.Queue}})
	final("Declare", err)
	_ = denied.Declare(soon, []transport.Channel{c}) // it exists: whether looking at it is a right, differs
	s.refused(log.send(soon, s, denied, message(c, "denied", "k", 0)), "sending as a user without rights")
	final("Receive", denied.Receive(soon, transport.Route{Channel: c}, log.take("")))
	log.mustSend(ctx, s, b, message(c, "allowed", "k", 0))
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{})
}
