package journaltest

import (
	"context"

	"github.com/parley-io/parley/operation"
)

func replaced(ctx context.Context, s *scene) {
	r := s.record("a")
	first := open(entry(1, "pay"))
	second := open(entry(7, "pay"))
	second.Kind, second.Attempt, second.Of, second.Output, second.Error = operation.KindCall, 3, 0, nil, nil
	second.Begun, second.Next = noon.Add(70), noon.Add(71)
	last := entry(2, "pay")
	s.commit(ctx, accept(r), enter(r.ID, entry(1, "ask")))
	for _, e := range []*operation.Entry{first, second, last} {
		got := s.commit(ctx, enter(r.ID, e))
		s.equal("the outcome", got, []operation.Outcome{{}})
		want := []operation.Entry{*entry(1, "ask"), *e}
		s.equal("the entries", s.one(ctx, r.ID).Entries, want)
	}
}

func final(ctx context.Context, s *scene) {
	r := s.record("a")
	s.commit(ctx, accept(r), enter(r.ID, entry(1, "pay")))
	other, reopened := entry(1, "pay"), open(entry(2, "pay"))
	other.Output, other.Error, other.Ended = []byte("other"), nil, other.Ended.Add(1)
	got := s.commit(ctx, enter(r.ID, other), enter(r.ID, reopened))
	s.equal("the outcomes", got, []operation.Outcome{{Ignored: true}, {Ignored: true}})
	s.equal("the entries", s.one(ctx, r.ID).Entries, []operation.Entry{*entry(1, "pay")})
}

func signals(ctx context.Context, s *scene) {
	a, b := s.record("a"), s.record("b")
	numbered := signal("signed", "3")
	numbered.N = 70 // not the caller's to say
	got := s.commit(ctx, accept(a), accept(b),
		tell(a.ID, signal("signed", "1")), tell(a.ID, signal("refused", "2")), tell(a.ID, numbered), tell(b.ID, signal("signed", "1")))
	got = append(got, s.commit(ctx, tell(a.ID, signal("signed", "4")), tell(a.ID, signal("signed", "3")), tell(a.ID, signal("other", "2")))...)
	s.equal("the outcomes", got, []operation.Outcome{
		{}, {}, {N: 1}, {N: 1}, {N: 2}, {N: 1}, {N: 3}, {N: 2, Ignored: true}, {N: 1, Ignored: true},
	})
	want := []operation.Signal{*signal("refused", "2"), *signal("signed", "1"), *signal("signed", "3"), *signal("signed", "4")}
	for i, n := range []int{1, 1, 2, 3} {
		want[i].N = n
	}
	s.equal("the signals", s.one(ctx, a.ID).Signals, want)
	want = []operation.Signal{*signal("signed", "1")}
	want[0].N = 1
	s.equal("the signals of the other operation", s.one(ctx, b.ID).Signals, want)
}
