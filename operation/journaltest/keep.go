package journaltest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

func forgotten(ctx context.Context, s *scene) {
	limit := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	add := func(name string, status operation.Status, finished time.Time) string {
		r := s.record(name)
		r.Status, r.Finished = status, finished
		s.commit(ctx, accept(r), enter(r.ID, entry(1, "pay")), tell(r.ID, signal("signed", "1")))
		return r.ID
	}
	s.commit(ctx, operation.Change{Forget: limit}) // what others have left
	gone := []string{add("a", operation.Succeeded, limit.Add(-1)), add("b", operation.Canceled, limit.Add(-time.Hour))}
	kept := []string{add("c", operation.Failed, limit), add("d", operation.Running, time.Time{})}
	before := s.load(ctx, kept...)
	s.equal("the outcome", s.commit(ctx, operation.Change{Forget: limit}), []operation.Outcome{{Forgot: len(gone)}})
	s.gone(ctx, "it was forgotten", gone...)
	s.equal("what was not finished before", s.load(ctx, kept...), before)
	s.restart(ctx)
	s.equal("the outcome of accepting it again", s.commit(ctx, accept(s.record("a"))), []operation.Outcome{{}})
	s.equal("an operation with the ID of a forgotten one", s.one(ctx, gone[0]), operation.Stored{Record: *s.record("a")})
	s.equal("the outcome of the same signal", s.commit(ctx, tell(gone[0], signal("signed", "1"))), []operation.Outcome{{N: 1}})
}

func durable(ctx context.Context, s *scene) {
	a := s.full("a")
	s.commit(ctx, accept(a), enter(a.ID, open(entry(1, "wait"))), tell(a.ID, signal("signed", "1")))
	before := s.one(ctx, a.ID)
	s.restart(ctx)
	s.equal("the operation after a restart", s.one(ctx, a.ID), before)
	got := s.commit(ctx, tell(a.ID, signal("signed", "1")), tell(a.ID, signal("signed", "2")))
	s.equal("the outcomes after a restart", got, []operation.Outcome{{N: 1, Ignored: true}, {N: 2}})
	s.commit(ctx, enter(a.ID, entry(1, "wait")))
	s.restart(ctx)
	s.equal("the entries after two restarts", s.one(ctx, a.ID).Entries, []operation.Entry{*entry(1, "wait")})
}

func concurrent(ctx context.Context, s *scene) {
	const writers, rounds = 8, 10
	shared := s.record("shared")
	s.commit(ctx, accept(shared))
	found := make([]error, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() { found[w] = s.write(ctx, fmt.Sprintf("writer-%d", w), rounds, shared.ID) })
	}
	all.Wait()
	for _, err := range found {
		if err != nil {
			s.errorf("%w", err)
		}
	}
	told := s.one(ctx, shared.ID).Signals
	if len(told) != writers*rounds {
		s.errorf("an operation has %d signals; want the %d of all writers", len(told), writers*rounds)
	}
	for i, g := range told {
		if g.N != i+1 {
			s.errorf("signal %d has the number %d; want %d", i, g.N, i+1)
		}
	}
}

// write commits round after round in one batch the revision of an operation, a step and a signal of the shared one,
// and looks, while others do the same, whether an operation is ever seen in half.
func (s *scene) write(ctx context.Context, writer string, rounds int, shared string) error {
	r := s.record(writer)
	for n := 1; n <= rounds; n++ {
		r.Revision = int64(n)
		batch := []operation.Change{
			accept(r), update(r), enter(r.ID, entry(n, fmt.Sprintf("step-%d", n))),
			tell(shared, signal("signed", fmt.Sprintf("%s-%d", writer, n))),
		}
		if _, err := s.j.Commit(ctx, s.lease, batch); err != nil {
			return fmt.Errorf("Commit beside others = %w; want no error", err)
		}
		found, err := s.j.Load(ctx, r.ID, s.prefix+fmt.Sprintf("writer-%d", n%4))
		if err != nil {
			return fmt.Errorf("Load beside others = %w; want no error", err)
		}
		if len(found) == 0 || found[0].ID != r.ID || found[0].Revision != r.Revision {
			return fmt.Errorf("Load of what was just committed = %d operations; want it first, at revision %d", len(found), n)
		}
		for _, o := range found {
			if int64(len(o.Entries)) != o.Revision {
				return fmt.Errorf("Load = revision %d with %d entries; each batch adds one to both", o.Revision, len(o.Entries))
			}
		}
		if _, err := s.j.List(ctx, operation.Filter{Address: s.address()}); err != nil {
			return fmt.Errorf("List beside others = %w; want no error", err)
		}
	}
	return nil
}

func times(ctx context.Context, s *scene) {
	zone := time.FixedZone("far", 7*60*60)
	for i, t := range []time.Time{
		{}, operation.Never, noon, noon.In(zone), time.Unix(0, 0), time.Unix(0, -1), time.Unix(0, 1),
		time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(2261, 12, 31, 23, 59, 59, 999999999, time.UTC),
	} {
		r := s.record(fmt.Sprintf("at-%d", i))
		r.Created, r.Updated, r.Finished, r.Deadline, r.WakeAt = t, t, t, t, t
		e, g := entry(1, "pay"), signal("signed", "1")
		e.Begun, e.Ended, e.Next, g.At = t, t, t, t
		s.commit(ctx, accept(r), enter(r.ID, e), tell(r.ID, g))
		o := s.one(ctx, r.ID)
		utc := t.UTC()
		for _, got := range []time.Time{
			o.Created, o.Updated, o.Finished, o.Deadline, o.WakeAt,
			o.Entries[0].Begun, o.Entries[0].Ended, o.Entries[0].Next, o.Signals[0].At,
		} {
			if got != utc {
				s.errorf("a time = %v; want %v, given as %v", got, utc, t)
			}
		}
	}
}

func failures(ctx context.Context, s *scene) {
	for i, given := range []*transport.Error{
		nil, {}, {Code: transport.Unavailable}, failure("all of it"), {Message: "only a message"},
		{Code: transport.Unknown, Message: "EOF", Cause: errCause}, {Details: []byte{}}, {RetryAfter: -1}, {NoRetry: true},
	} {
		r, e := s.record(fmt.Sprintf("error-%d", i)), entry(1, "pay")
		r.Error, e.Error = given, given
		var want *transport.Error
		if given != nil {
			want = new(*given)
			want.Cause = nil
		}
		s.commit(ctx, accept(r), enter(r.ID, e))
		o := s.one(ctx, r.ID)
		s.equal("the error of an operation", o.Error, want)
		s.equal("the error of a step", o.Entries[0].Error, want)
	}
}

func bodies(ctx context.Context, s *scene) {
	for i, body := range [][]byte{nil, {}, {0}, []byte("{}"), {0xff, 0, 0xfe}} {
		r, e, g := s.record(fmt.Sprintf("body-%d", i)), entry(1, "pay"), signal("signed", "1")
		r.Input, r.Output, e.Output, g.Body = body, body, body, body
		s.commit(ctx, accept(r), enter(r.ID, e), tell(r.ID, g))
		o := s.one(ctx, r.ID)
		s.equal("Input", o.Input, body)
		s.equal("Output", o.Output, body)
		s.equal("the output of a step", o.Entries[0].Output, body)
		s.equal("the body of a signal", o.Signals[0].Body, body)
	}
}

func large(ctx context.Context, s *scene) {
	body := make([]byte, 1<<20)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range body {
		body[i] = byte(source.Uint32())
	}
	r, e, g := s.record("a"), entry(1, "pay"), signal("signed", "1")
	r.Input, r.Output, e.Output, g.Body = body, body, body, body
	s.commit(ctx, accept(r), enter(r.ID, e), tell(r.ID, g))
	s.restart(ctx)
	o := s.one(ctx, r.ID)
	for what, got := range map[string][]byte{
		"Input": o.Input, "Output": o.Output, "the output of a step": o.Entries[0].Output, "the body of a signal": o.Signals[0].Body,
	} {
		if !bytes.Equal(got, body) {
			s.errorf("%s = %d bytes; want the %d that were given", what, len(got), len(body))
		}
	}
}

func identifiers(ctx context.Context, s *scene) {
	var visible strings.Builder
	for c := byte('!'); c <= '~'; c++ {
		visible.WriteByte(c)
	}
	names := []string{visible.String(), strings.Repeat("~", 1000), "a", "A", "a%", "a_", "a*", "a''", "007", "7", "7.0", "1e3"}
	for _, name := range names {
		r := s.record(name)
		r.Parked = name
		s.equal("the outcome of "+name, s.commit(ctx, accept(r), enter(r.ID, entry(1, name)), tell(r.ID, signal(name, name))),
			[]operation.Outcome{{}, {}, {N: 1}})
	}
	for _, name := range names {
		o := s.one(ctx, s.prefix+name)
		told := *signal(name, name)
		told.N = 1
		s.equal("the parked one of "+name, o.Parked, name)
		s.equal("the entries of "+name, o.Entries, []operation.Entry{*entry(1, name)})
		s.equal("the signals of "+name, o.Signals, []operation.Signal{told})
	}
}

func texts(ctx context.Context, s *scene) {
	for i, text := range []string{"", "\x00", "a\x00b", "\xff\xfe", "Grüße, 世界 🌍", "line\nline\r\n\t", strings.Repeat("long ", 10000)} {
		r := s.full(fmt.Sprintf("text-%d", i))
		r.Parked, r.Cancel, r.Undo = text, text, []string{text, "x", text}
		r.Source, r.Key, r.Correlation, r.Causation, r.Trace = text, text, text, text, text
		r.Error.Message, r.Error.Name, r.Error.Fields = text, text, []transport.Field{{Path: text, Message: text}}
		e, g := entry(1, "pay"+text), signal("signed"+text, "1"+text)
		e.Error, g.Source = r.Error, text
		s.commit(ctx, accept(r), enter(r.ID, e), tell(r.ID, g))
		want := *g
		want.N = 1
		s.equal("the operation", s.one(ctx, r.ID), operation.Stored{
			Record: *r, Entries: []operation.Entry{*e}, Signals: []operation.Signal{want},
		})
	}
}

func owned(ctx context.Context, s *scene) {
	r, e, g := s.full("a"), entry(1, "pay"), signal("signed", "1")
	s.commit(ctx, accept(r), enter(r.ID, e), tell(r.ID, g))
	if g.N != 0 {
		s.errorf("a signal that was given has the number %d after Commit; want it untouched", g.N)
	}
	want := operation.Stored{Record: *s.full("a"), Entries: []operation.Entry{*entry(1, "pay")}, Signals: []operation.Signal{*signal("signed", "1")}}
	want.Signals[0].N = 1
	scribble(r, e, g)
	got := s.one(ctx, r.ID)
	s.equal("the operation after what was given has changed", got, want)
	scribble(&got.Record, &got.Entries[0], &got.Signals[0])
	s.equal("the operation after what was loaded has changed", s.one(ctx, r.ID), want)
	_, last := s.list(ctx, operation.Filter{})
	scribble(last, entry(1, "pay"), signal("signed", "1"))
	s.equal("the operation after what was listed has changed", s.one(ctx, r.ID), want)
	scribble(s.commit(ctx, accept(s.record("a")))[0].Existing, entry(1, "pay"), signal("signed", "1"))
	s.equal("the operation after what was answered has changed", s.one(ctx, r.ID), want)
}

// scribble changes everything that can be reached by pointers.
func scribble(r *operation.Record, e *operation.Entry, g *operation.Signal) {
	for _, b := range [][]byte{r.Input, r.Output, r.Error.Details, e.Output, e.Error.Details, g.Body} {
		b[0] ^= 0xff
	}
	r.Undo[0] = "scribbled"
	for _, x := range []*transport.Error{r.Error, e.Error} {
		x.Message, x.Fields[0].Path = "scribbled", "scribbled"
	}
	r.Status, e.Ended, g.Name = operation.Canceled, time.Time{}, "scribbled"
}
