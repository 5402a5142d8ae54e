package journaltest

import (
	"context"
	"errors"

	"github.com/parley-io/parley/operation"
)

func fenced(ctx context.Context, s *scene) {
	r := s.record("a")
	s.commit(ctx, accept(r), enter(r.ID, open(entry(1, "pay"))))
	before := s.one(ctx, r.ID)
	try := func(what string, lease operation.Lease) {
		batch := []operation.Change{
			accept(s.record("b")), update(s.full("a")), enter(r.ID, entry(1, "pay")), tell(r.ID, signal("signed", "1")),
		}
		if outcomes, err := s.j.Commit(ctx, lease, batch); !errors.Is(err, operation.ErrFenced) {
			s.errorf("Commit with %s = %+v, %v; want ErrFenced", what, outcomes, err)
		}
		s.gone(ctx, "it was accepted with "+what, s.prefix+"b")
		s.equal("the operation after a commit with "+what, s.one(ctx, r.ID), before)
	}
	try("no lease", operation.Lease{})
	try("a lease of another journal", operation.Lease{Journal: "other", Worker: s.lease.Worker, Epoch: s.lease.Epoch})
	try("an epoch that is yet to come", operation.Lease{Journal: s.lease.Journal, Worker: s.lease.Worker, Epoch: s.lease.Epoch + 1})
	old := s.lease
	s.lease = s.register(ctx, old.Worker)
	try("an older epoch", old)
	s.restart(ctx)
	try("an epoch from before the restart", old)
	s.commit(ctx, update(s.full("a")))
}

func epochs(ctx context.Context, s *scene) {
	if s.lease.Journal == "" || s.lease.Worker != "worker" {
		s.errorf("Register = %+v; want the journal's identity and the worker in it", s.lease)
	}
	for _, worker := range []string{"worker", "other", "worker"} {
		before := s.lease
		s.restart(ctx)
		s.lease = s.register(ctx, worker)
		if s.lease.Epoch <= before.Epoch {
			s.errorf("Register(%s) = epoch %d after epoch %d; want a higher one", worker, s.lease.Epoch, before.Epoch)
		}
		if s.lease.Journal != before.Journal {
			s.errorf("Register(%s) = journal %q after %q; want the same", worker, s.lease.Journal, before.Journal)
		}
	}
}

func closed(ctx context.Context, s *scene) {
	r := s.record("a")
	s.commit(ctx, accept(r))
	for range 2 {
		if err := s.j.Close(); err != nil {
			s.errorf("Close = %v; want nil, also the second time", err)
		}
	}
	refuses := func(what string, err error) {
		if err == nil {
			s.errorf("%s of a journal that is closed = no error; want one", what)
		}
	}
	_, err := s.j.Register(ctx, "worker")
	refuses("Register", err)
	_, err = s.j.Commit(ctx, s.lease, []operation.Change{accept(s.record("b"))})
	refuses("Commit", err)
	_, err = s.j.Load(ctx, r.ID)
	refuses("Load", err)
	_, err = s.j.List(ctx, operation.Filter{})
	refuses("List", err)
	s.start(ctx)
	s.gone(ctx, "the journal was closed", s.prefix+"b")
}
