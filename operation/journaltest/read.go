package journaltest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/parley-io/parley/operation"
)

func loadOrder(ctx context.Context, s *scene) {
	for _, name := range []string{"a", "b", "c"} {
		s.commit(ctx, accept(s.record(name)))
	}
	ids := []string{s.prefix + "c", s.prefix + "nobody", s.prefix + "a", s.prefix + "b"}
	var got []string
	for _, o := range s.load(ctx, ids...) {
		got = append(got, o.ID)
	}
	s.equal("the ids", got, []string{ids[0], ids[2], ids[3]})
	if none := s.load(ctx); len(none) != 0 {
		s.errorf("Load() = %d operations; want none", len(none))
	}
	many := make([]operation.Change, 300)
	ids = make([]string, len(many))
	for i := range many {
		many[i] = accept(s.record(fmt.Sprintf("many-%d", i)))
		ids[len(many)-1-i] = many[i].Op
	}
	s.commit(ctx, many...)
	got = nil
	for _, o := range s.load(ctx, ids...) {
		got = append(got, o.ID)
	}
	s.equal("many ids", got, ids)
}

func loadAll(ctx context.Context, s *scene) {
	a, b := s.full("a"), s.full("b")
	b.Output = []byte("of b")
	s.commit(ctx, accept(a), accept(b), enter(a.ID, entry(10, "ask")), tell(a.ID, signal("z", "1")), tell(a.ID, signal("y", "2")),
		enter(a.ID, entry(2, "pay")), tell(a.ID, signal("z", "3")), enter(a.ID, open(entry(3, "book"))), enter(b.ID, entry(1, "first")))
	told := []operation.Signal{*signal("y", "2"), *signal("z", "1"), *signal("z", "3")}
	told[0].N, told[1].N, told[2].N = 1, 1, 2
	s.equal("the operations", s.load(ctx, a.ID, b.ID), []operation.Stored{
		{Record: *a, Signals: told, Entries: []operation.Entry{*entry(2, "pay"), *open(entry(3, "book")), *entry(10, "ask")}},
		{Record: *b, Entries: []operation.Entry{*entry(1, "first")}},
	})
}

func listFilter(ctx context.Context, s *scene) {
	other := s.prefix + "other"
	add := func(name, address string, version int, status operation.Status) {
		r := s.full(name)
		r.Address, r.Version, r.Status = address, version, status
		s.commit(ctx, accept(r))
	}
	add("a", s.address(), 1, operation.Running)
	add("b", s.address(), 2, operation.Parked)
	add("c", s.address(), 2, operation.Succeeded)
	add("d", other, 2, operation.Running)
	for _, c := range []struct {
		f    operation.Filter
		want string
	}{
		{operation.Filter{Address: s.address()}, "cba"},
		{operation.Filter{Address: other}, "d"},
		{operation.Filter{Address: s.address(), Version: 2}, "cb"},
		{operation.Filter{Address: s.address(), Statuses: []operation.Status{operation.Parked}}, "b"},
		{operation.Filter{Address: s.address(), Statuses: []operation.Status{operation.Running, operation.Succeeded}}, "ca"},
		{operation.Filter{Address: s.address(), Statuses: []operation.Status{operation.Failed}}, ""},
		{operation.Filter{Address: s.address(), Version: 2, Statuses: []operation.Status{operation.Running, operation.Succeeded}}, "c"},
		{operation.Filter{Address: s.address(), Version: 2, DueBefore: noon.Add(time.Hour)}, "b"},
		{operation.Filter{Address: s.address(), Version: 3}, ""},
	} {
		got, _ := s.list(ctx, c.f)
		s.equal(fmt.Sprintf("the ids of %+v", c.f), got, s.ids(c.want))
	}
	_, last := s.list(ctx, operation.Filter{Address: other})
	want := s.full("d")
	want.Address, want.Version, want.Status = other, 2, operation.Running
	s.equal("a record of List", last, want)
	all, err := s.j.List(ctx, operation.Filter{Limit: 1 << 30})
	if has := func(r operation.Record) bool { return r.ID == s.prefix+"a" }; err != nil || !slices.ContainsFunc(all, has) {
		s.errorf("List of all = %d operations, %v; want one of this promise among them", len(all), err)
	}
}

// ids are those of operations with names of one letter.
func (s *scene) ids(names string) []string {
	var ids []string
	for _, n := range names {
		ids = append(ids, s.prefix+string(n))
	}
	return ids
}

func listNewest(ctx context.Context, s *scene) {
	for i, name := range []string{"b", "c", "a", "e", "d"} {
		r := s.record(name)
		r.Created = noon.Add(time.Duration(i / 3)) // b, c and a at one time, e and d later
		r.WakeAt = noon.Add(-time.Duration(i))
		s.commit(ctx, accept(r))
	}
	got, _ := s.list(ctx, operation.Filter{})
	s.equal("the ids", got, s.ids("edcba"))
}

func listPages(ctx context.Context, s *scene) {
	const many = 105
	add := func(name string, at time.Duration) {
		r := s.record(name)
		r.Created, r.WakeAt = noon.Add(at), noon.Add(at)
		s.commit(ctx, accept(r))
	}
	for i := range many {
		add(fmt.Sprintf("%03d", i), time.Duration(i/2)) // always two at one time
	}
	if page, _ := s.list(ctx, operation.Filter{}); len(page) != 100 {
		s.errorf("List without a limit = %d operations; want 100", len(page))
	}
	walk := func(what string, f operation.Filter, added time.Duration, name func(i int) string) {
		var got, want []string
		for i := range many {
			want = append(want, s.prefix+name(i))
		}
		for f.Limit = 7; len(got) < 2*many; { // more would be a circle
			page, last := s.list(ctx, f)
			if last == nil {
				break
			}
			got, f.After = append(got, page...), last
			add(fmt.Sprintf("%s after %d", what, len(got)), added)
		}
		s.equal(what+": the ids of all pages", got, want)
	}
	// What is added comes before the pages, as new operations do, and must not move them.
	walk("newest", operation.Filter{}, time.Hour, func(i int) string { return fmt.Sprintf("%03d", many-1-i) })
	walk("due", operation.Filter{DueBefore: noon.Add(time.Minute)}, -time.Hour, func(i int) string { return fmt.Sprintf("%03d", i) })
}

func listDue(ctx context.Context, s *scene) {
	add := func(name string, status operation.Status, wake time.Time, created time.Duration) {
		r := s.record(name)
		r.Status, r.WakeAt, r.Created = status, wake, noon.Add(created)
		s.commit(ctx, accept(r))
	}
	add("g", operation.Running, noon.Add(-1), 0)
	add("c", operation.NotStarted, noon.Add(-time.Hour), 5)
	add("b", operation.Canceling, noon.Add(-time.Hour), 6)
	add("d", operation.Parked, noon.Add(-time.Hour), 6)
	add("e", operation.Compensating, noon.Add(-time.Minute), 0)
	add("a", operation.Running, time.Time{}, 9)
	add("h", operation.Running, noon, 0)
	add("i", operation.Running, operation.Never, 0)
	add("x", operation.Succeeded, noon.Add(-time.Hour), 0)
	add("y", operation.Failed, time.Time{}, 0)
	add("z", operation.Canceled, time.Time{}, 0)
	got, _ := s.list(ctx, operation.Filter{DueBefore: noon})
	s.equal("the ids that are due", got, s.ids("acbdeg"))
	got, _ = s.list(ctx, operation.Filter{DueBefore: operation.Never})
	s.equal("the ids that are due some day", got, s.ids("acbdegh"))
	got, last := s.list(ctx, operation.Filter{DueBefore: noon, Limit: 3})
	s.equal("the ids of the first page", got, s.ids("acb"))
	got, _ = s.list(ctx, operation.Filter{DueBefore: noon, After: last})
	s.equal("the ids of the page after", got, s.ids("deg"))
	later := s.record("a")
	later.WakeAt = operation.Never
	s.commit(ctx, update(later))
	got, _ = s.list(ctx, operation.Filter{DueBefore: noon, Limit: 1})
	s.equal("the first id when another has gone to sleep", got, s.ids("c"))
}
