package journaltest

import (
	"context"
	"time"

	"github.com/parley-io/parley/operation"
)

func refused(ctx context.Context, s *scene) {
	other := s.record("other")
	for _, c := range []struct {
		what string
		bad  operation.Change
	}{
		{"no change in it", operation.Change{Op: other.ID}},
		{"two changes in it", operation.Change{Op: other.ID, Accept: other, Signal: signal("signed", "1")}},
		{"no operation", operation.Change{Signal: signal("signed", "1")}},
		{"an operation beside Forget", operation.Change{Op: other.ID, Forget: noon}},
		{"another ID than its record", operation.Change{Op: other.ID + "2", Accept: other}},
	} {
		batch := []operation.Change{accept(s.record("before")), c.bad, accept(s.record("after"))}
		if outcomes, err := s.j.Commit(ctx, s.lease, batch); err == nil {
			s.errorf("Commit of a change with %s = %+v, no error; want an error", c.what, outcomes)
		}
		s.gone(ctx, "its batch had a change with "+c.what, s.prefix+"before", other.ID, other.ID+"2", s.prefix+"after")
	}
	if outcomes, err := s.j.Commit(ctx, s.lease, nil); err != nil || len(outcomes) != 0 {
		s.errorf("Commit of nothing = %+v, %v; want no outcomes and no error", outcomes, err)
	}
}

func inOrder(ctx context.Context, s *scene) {
	first, second, third := s.record("a"), s.record("a"), s.record("a")
	first.Parked, second.Parked, third.Parked = "first", "second", "third"
	taken := s.record("a")
	taken.Parked = "taken"
	got := s.commit(ctx, update(first), accept(first), accept(taken), update(second),
		enter(first.ID, open(entry(1, "pay"))), tell(first.ID, signal("signed", "1")), tell(first.ID, signal("signed", "2")),
		enter(first.ID, entry(2, "pay")), update(third))
	s.equal("the outcomes", got, []operation.Outcome{
		{Missing: true}, {}, {Existing: first}, {}, {}, {N: 1}, {N: 2}, {}, {},
	})
	one, two := *signal("signed", "1"), *signal("signed", "2")
	one.N, two.N = 1, 2
	s.equal("the operation", s.one(ctx, first.ID), operation.Stored{
		Record: *third, Entries: []operation.Entry{*entry(2, "pay")}, Signals: []operation.Signal{one, two},
	})
}

func repeated(ctx context.Context, s *scene) {
	old := s.record("old")
	old.Status, old.Finished = operation.Succeeded, time.Date(1998, 1, 1, 0, 0, 0, 0, time.UTC)
	s.commit(ctx, operation.Change{Forget: old.Finished.Add(1)}, accept(old)) // only this one is left of that time

	running, ended := s.record("a"), s.record("b")
	running.Parked = "b"
	ended.Status, ended.Finished, ended.Output = operation.Succeeded, noon, []byte("out")
	batch := []operation.Change{
		{Forget: old.Finished.Add(1)},
		accept(s.record("a")),
		enter(running.ID, open(entry(1, "wait"))),
		enter(running.ID, entry(2, "pay")),
		tell(running.ID, signal("signed", "1")),
		tell(running.ID, signal("signed", "2")),
		update(running),
		accept(s.record("b")),
		update(ended),
	}
	s.equal("the outcomes", s.commit(ctx, batch...), []operation.Outcome{{Forgot: 1}, {}, {}, {}, {N: 1}, {N: 2}, {}, {}, {}})
	before := s.load(ctx, running.ID, ended.ID)
	again := s.commit(ctx, batch...)
	s.equal("the outcomes of the repeat", again, []operation.Outcome{
		{}, {Existing: running}, {}, {Ignored: true}, {Ignored: true, N: 1}, {Ignored: true, N: 2}, {}, {Existing: ended}, {Ignored: true},
	})
	s.equal("the operations after the repeat", s.load(ctx, running.ID, ended.ID), before)
}

func existing(ctx context.Context, s *scene) {
	was := s.full("a")
	other := s.record("a")
	other.Input, other.Address = []byte("other"), s.prefix+"other"
	s.commit(ctx, accept(s.full("a")), enter(was.ID, entry(1, "pay")), tell(was.ID, signal("signed", "1")))
	before := s.one(ctx, was.ID)
	got := s.commit(ctx, accept(other), accept(s.record("b")))
	s.equal("the outcomes", got, []operation.Outcome{{Existing: was}, {}})
	s.equal("the operation that was there", s.one(ctx, was.ID), before)
	if len(s.load(ctx, s.prefix+"b")) == 0 {
		s.errorf("Load = nothing of an operation that was accepted beside one that existed; want it")
	}
}

func updated(ctx context.Context, s *scene) {
	first := s.record("a")
	first.Input, first.Source, first.Key = []byte("in"), "shop", "k"
	first.Correlation, first.Causation, first.Trace = "c", "d", "t"
	to := s.full("a")
	to.Address += "2"
	s.commit(ctx, accept(first))
	got := s.commit(ctx, update(to))
	s.equal("the outcome", got, []operation.Outcome{{}})
	want := *s.full("a")
	want.Version, want.Input, want.Created = first.Version, first.Input, first.Created
	want.Source, want.Key, want.Correlation, want.Causation, want.Trace = first.Source, first.Key, first.Correlation, first.Causation, first.Trace
	s.equal("the operation", s.one(ctx, first.ID).Record, want)

	plain := s.record("a")
	want = *first
	s.commit(ctx, update(plain))
	s.equal("the operation after everything was taken back", s.one(ctx, first.ID).Record, want)
}

func done(ctx context.Context, s *scene) {
	for _, status := range []operation.Status{operation.Succeeded, operation.Failed, operation.Canceled} {
		r := s.full(string(status))
		r.Status = status
		again := *r
		again.Status, again.Output = operation.Running, []byte("other")
		got := s.commit(ctx, accept(r), update(&again))
		s.equal("the outcomes of "+string(status), got, []operation.Outcome{{}, {Ignored: true}})
		s.equal("the operation that has "+string(status), s.one(ctx, r.ID).Record, *r)
	}
	for _, status := range []operation.Status{
		operation.NotStarted, operation.Running, operation.Canceling, operation.Compensating, operation.Parked,
	} {
		r := s.full(string(status))
		r.Status = status
		again := *r
		again.Output = []byte("other")
		got := s.commit(ctx, accept(r), update(&again))
		s.equal("the outcomes of "+string(status), got, []operation.Outcome{{}, {}})
		s.equal("the operation that is "+string(status), s.one(ctx, r.ID).Record, again)
	}
}

func missing(ctx context.Context, s *scene) {
	id := s.prefix + "nobody"
	got := s.commit(ctx, update(s.record("nobody")), enter(id, entry(1, "pay")), tell(id, signal("signed", "1")), accept(s.record("a")))
	s.equal("the outcomes", got, []operation.Outcome{{Missing: true}, {Missing: true}, {Missing: true}, {}})
	s.gone(ctx, "it was never accepted", id)
	s.one(ctx, s.prefix+"a")
	s.commit(ctx, accept(s.record("nobody")))
	s.equal("the operation when it is accepted", s.one(ctx, id), operation.Stored{Record: *s.record("nobody")})
}
