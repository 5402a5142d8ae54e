package collector

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

func TestARedriveIsAJobWithAFrozenScopeAndAnOutcome(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		broken := map[string]bool{"c1": true, "c2": true, "c3": true, "c4": true}
		w.consume(charge, "payments", func(_ context.Context, e *transport.Envelope) error {
			mu.Lock()
			defer mu.Unlock()
			if broken[e.ID] {
				return errDown
			}
			return nil
		})
		for _, id := range []string{"c1", "c2", "c3", "ok"} {
			w.send(charge, id, "payments")
		}
		time.Sleep(5 * time.Minute)
		f := w.failed(FailedRequest{})
		if f.Open != 3 || len(f.Causes) != 1 {
			t.Fatalf("got %+v; want 3 open of one cause", f)
		}
		cause := f.Causes[0]
		slices.Sort(cause.IDs) // jitter decides who gives up first
		if cause.Open != 3 || cause.Address != charge.Address || cause.Group != "payments" || cause.Reason != "database # is down" || cause.Sample != errDown.Error() || !slices.Equal(cause.IDs, []string{"c1", "c2", "c3"}) {
			t.Errorf("cause: got %+v", cause)
		}
		shown, err := ShowFailed(w.ctx, w.shop.Caller(), w.peer, "c2")
		if err != nil || len(shown.Letters) != 1 || string(shown.Letters[0].Dead.Body) != `{"id":"c2"}` || shown.Letters[0].Dead.Attempts != 3 || shown.Letters[0].Redriven != nil {
			t.Errorf("show c2: got %+v, %v; want one letter with its body and 3 attempts", shown, err)
		}

		dry := w.redrive(RedriveRequest{Cause: "1", DryRun: true, By: "anna"})
		if dry.State != JobDry || dry.Scope != 3 || dry.NotSent != 3 || dry.ID != "" {
			t.Errorf("dry run: got %+v; want a scope of 3 and nothing sent", dry)
		}
		mu.Lock()
		broken = map[string]bool{"c2": true, "c4": true}
		mu.Unlock()
		job := w.redrive(RedriveRequest{Cause: CauseName(cause.Key), By: "anna"})
		w.send(charge, "c4", "payments") // fails later: not in the scope
		done, err := FollowRedrive(w.ctx, w.shop.Caller(), w.peer, job.ID, 10*time.Second)
		if err != nil || done.State != JobSent || done.Redriven != 3 || done.Handled != 2 || done.Waiting != 1 {
			t.Errorf("after 10 s: got %+v, %v; want 3 sent, 2 of them handled, 1 waiting", done, err)
		}
		time.Sleep(time.Minute)
		done, err = FollowRedrive(w.ctx, w.shop.Caller(), w.peer, job.ID, time.Minute)
		if err != nil || done.State != JobDone || done.Scope != 3 || done.Redriven != 3 || done.Handled != 2 || done.FailedAgain != 1 || done.Waiting != 0 || len(done.Errors) != 0 {
			t.Errorf("at last: got %+v, %v; want 2 handled, 1 failed again", done, err)
		}
		trail := w.follow("c1", 0)
		r := trail.Hops[0].Receivers[0]
		if r.State != ledger.Handled || r.Redriven != 1 || len(r.Attempts) != 4 || r.Attempts[3].By != "anna" || !trail.Settled {
			t.Errorf("trail of c1: got %+v, gaps %v; want it done at attempt 4, redriven by anna", r, trail.Gaps)
		}
		if f := w.failed(FailedRequest{}); f.Open != 2 || f.Redriven != 3 || len(f.Causes) != 1 || f.Causes[0].Open != 2 {
			t.Errorf("after the job: got %+v; want c2 and c4 open", f)
		}
	})
}

func TestARedriveKeepsTheOrderOfAKeyAndTakesALetterOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		down := true
		var got []string
		w.consume(charge, "payments", func(_ context.Context, e *transport.Envelope) error {
			mu.Lock()
			defer mu.Unlock()
			if down {
				return delivery.Permanent(errDown)
			}
			got = append(got, e.ID)
			return nil
		})
		var sent []string
		for i := range 30 {
			id := string(rune('a'+i/10)) + string(rune('0'+i%10))
			sent = append(sent, id)
			e := &transport.Envelope{ID: id, Address: charge.Address, Key: "one", Time: time.Now(), Body: []byte("{}")}
			if r := w.shop.Broker().Send(w.ctx, []*transport.Envelope{e}); r[0].Err != nil {
				t.Fatal(r[0].Err)
			}
			time.Sleep(time.Second)
		}
		mu.Lock()
		down = false
		mu.Unlock()
		job := w.redrive(RedriveRequest{IDs: append(slices.Clone(sent), "a0")})
		if job.Scope != 30 {
			t.Errorf("scope: got %d; want 30, a0 once", job.Scope)
		}
		_, err := BeginRedrive(w.ctx, w.shop.Caller(), w.peer, RedriveRequest{Cause: "1"})
		if transport.CodeOf(err) != transport.FailedPrecondition {
			t.Errorf("a second job for the same letters: got %v; want failed-precondition", err)
		}
		done, err := FollowRedrive(w.ctx, w.shop.Caller(), w.peer, job.ID, time.Minute)
		if err != nil || done.State != JobDone || done.Handled != 30 {
			t.Errorf("got %+v, %v; want 30 handled", done, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(got, sent) {
			t.Errorf("handled in the order %v; want %v", got, sent)
		}
		_, err = FollowRedrive(w.ctx, w.shop.Caller(), w.peer, "r99", 0)
		if transport.CodeOf(err) != transport.NotFound {
			t.Errorf("unknown job: got %v; want not-found", err)
		}
	})
}

func TestDeadLettersAreBoundedAndRedrivenOnesGoFirst(t *testing.T) {
	t.Parallel()
	const limit = 300
	f := newFailed(limit)
	add := func(id string) {
		f.add(&delivery.DeadLetter{ID: id, Receiver: "g", Address: "a.v1.b", Reason: "reason " + id[:1]}, "1")
	}
	for i := range limit {
		add(string(rune('a'+i%3)) + strconv.Itoa(i))
	}
	add("overflow")
	if len(f.letters) != limit || f.omitted != 1 {
		t.Fatalf("got %d letters, %d omitted; want %d, 1", len(f.letters), f.omitted, limit)
	}
	first := f.causes[causeKey("a.v1.b", "g", "reason a")].letters[0]
	f.redriven(&delivery.Redriven{ID: first.id, Receiver: "g"})
	add("one-more")
	if len(f.letters) != limit || f.omitted != 1 || f.letters[first.identity] != nil {
		t.Errorf("got %d letters, %d omitted; want the redriven one to have made room", len(f.letters), f.omitted)
	}
	add("one-more")
	if f.omitted != 1 {
		t.Error("the same letter twice counts as omitted; want it ignored")
	}
}

func TestReasonsOfOneCauseAreAlikeWithoutWhatVaries(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"order 17: 3.5 s too late":                         "order #: # s too late",
		"no row 0198f7e2-1111-7222-8333-444455556666 here": "no row # here",
		"object deadbeef01 and 0x1f":                       "object # and #",
		"panic: nil map\ngoroutine 7 [running]":            "panic: nil map",
		"facade":                                           "facade",
		"":                                                 "",
	} {
		if got := normalise(reason); got != want {
			t.Errorf("normalise(%q) = %q; want %q", reason, got, want)
		}
	}
	if n := len(normalise(strings.Repeat("é", 300))); n > causeBytes+3 {
		t.Errorf("a long reason: got %d bytes; want at most %d", n, causeBytes+3)
	}
}

func (w *world) failed(r FailedRequest) Failed {
	w.t.Helper()
	f, err := ListFailed(w.ctx, w.shop.Caller(), w.peer, r)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w *world) redrive(r RedriveRequest) Job {
	w.t.Helper()
	j, err := BeginRedrive(w.ctx, w.shop.Caller(), w.peer, r)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}
