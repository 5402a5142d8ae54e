package collector

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

func handled(context.Context, *transport.Envelope) error { return nil }

func TestAnEventIsFollowedToEachGroupThatWasExpected(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		fails := 2
		w.consume(placed, "fraud", handled)
		w.consume(placed, "mail", func(context.Context, *transport.Envelope) error {
			if fails--; fails >= 0 {
				return errDown
			}
			return nil
		})
		w.send(placed, "e1", "fraud", "mail", "warehouse")
		time.Sleep(time.Second)
		trail := w.follow("e1", 0)
		if got, want := states(trail), "fraud:done/1 mail:retrying/2 warehouse:waiting/0"; got != want {
			t.Errorf("after a second: got %s; want %s", got, want)
		}
		if next := trail.Hops[0].Receivers[1].Next; next.Before(time.Now().Add(50*time.Second)) || len(trail.Gaps) > 0 || trail.Settled {
			t.Errorf("next attempt of mail %v, gaps %v, settled %v; want in about a minute, none, false", next, trail.Gaps, trail.Settled)
		}
		time.Sleep(2 * time.Minute)
		if got, want := states(w.follow("key-of-e1", 0)), "fraud:done/1 mail:done/3 warehouse:waiting/0"; got != want {
			t.Errorf("after two minutes, by key: got %s; want %s", got, want)
		}
		w.consume(placed, "warehouse", handled)
		w.send(placed, "e2", "fraud", "mail", "warehouse")
		if trail := w.follow("e2", time.Minute); !trail.Settled || states(trail) != "fraud:done/1 mail:done/1 warehouse:done/1" {
			t.Errorf("e2: got %s, settled %v, gaps %v; want all done", states(trail), trail.Settled, trail.Gaps)
		}
	})
}

func TestAWaitingAnswerIsGivenWhenTheMessageIsSettledAndNotLater(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.consume(charge, "payments", func(context.Context, *transport.Envelope) error {
			time.Sleep(3 * time.Second)
			return nil
		})
		began := time.Now()
		w.send(charge, "c1", "payments")
		trail := w.follow("c1", 20*time.Second)
		if took := time.Since(began); took < 3*time.Second || took > 3100*time.Millisecond || states(trail) != "payments:done/1" {
			t.Errorf("got %s after %v; want done, a little after 3 s", states(trail), took)
		}
		w.send(charge, "c2", "payments")
		began = time.Now()
		trail = w.follow("c2", time.Second)
		if took := time.Since(began); took != time.Second || states(trail) != "payments:running/1" {
			t.Errorf("got %s after %v; want running, after the second that was asked for", states(trail), took)
		}
		again, err := FollowChange(w.ctx, w.shop.Caller(), w.peer, "c2", trail.Revision, 20*time.Second)
		if took := time.Since(began); err != nil || again.Revision == trail.Revision || took < 3*time.Second || took > 3100*time.Millisecond {
			t.Errorf("a change: got revision %d after %v, %v; want another than %d, after 3 s", again.Revision, took, err, trail.Revision)
		}
		w.send(charge, "c3", "payments")
		if trail, err := Follow(w.ctx, w.shop.Caller(), w.peer, "c3", 20*time.Second); err != nil || !trail.Concluded() {
			t.Errorf("Follow with time to wait: got %s, %v; want it done", states(trail), err)
		}
	})
}

// A message can be sent and handled while neither process can write to the ledger. Then its trail has no place for the gap.
func TestAnUnknownIDTellsThatRecordsAreMissing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if e := w.unknown("m1"); e.Name != "" || strings.Contains(e.Message, "missing") {
			t.Errorf("without gaps: got %v; want nothing of missing records", e)
		}
		w.c.mu.Lock()
		w.c.index.Add(ledger.Batch{Version: ledger.Format, Process: "mail~1", Number: 2, At: time.Now(), Dropped: 3})
		w.c.mu.Unlock()
		if e := w.unknown("m1"); e.Code != transport.NotFound || e.Name != RecordsMissing || !strings.Contains(e.Message, "3 were dropped") || !strings.Contains(e.Message, "1 batches") {
			t.Errorf("with 3 dropped and batch 1 missing: got %v (%s); want not-found that says so", e, e.Name)
		}
	})
}

func (w *world) unknown(id string) transport.Error {
	w.t.Helper()
	_, err := Follow(w.ctx, w.shop.Caller(), w.peer, id, 0)
	e, ok := errors.AsType[*transport.Error](err)
	if !ok {
		w.t.Fatalf("Follow(%s) = %v; want an error", id, err)
	}
	return *e
}

func TestAnIDThatIsNotRecordedYetIsWaitedForAndAnUnknownOneIsNotFound(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, err := Follow(w.ctx, w.shop.Caller(), w.peer, "nothing", 0)
		if transport.CodeOf(err) != transport.NotFound || !strings.Contains(err.Error(), "exact") || !strings.Contains(err.Error(), "24h") {
			t.Errorf("unknown: got %v; want not-found that says what is kept, and that ids are exact", err)
		}
		w.consume(charge, "payments", handled)
		answer := make(chan ledger.Trail, 1)
		w.parts.Go(func() {
			trail, err := Follow(w.ctx, w.shop.Caller(), w.peer, "late", 10*time.Second)
			if err != nil {
				t.Errorf("Follow: %v", err)
			}
			answer <- trail
		})
		time.Sleep(5 * time.Second)
		began := time.Now()
		w.send(charge, "late", "payments")
		if trail := <-answer; time.Since(began) > 100*time.Millisecond || states(trail) != "payments:done/1" {
			t.Errorf("got %s after %v; want done, at once", states(trail), time.Since(began))
		}
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		began = time.Now()
		if _, err := Follow(ctx, w.shop.Caller(), w.peer, "never", 20*time.Second); transport.CodeOf(err) != transport.NotFound || time.Since(began) >= time.Second {
			t.Errorf("with a deadline of 1 s: got %v after %v; want not-found before it", err, time.Since(began))
		}
	})
}

func TestACollectorThatBeginsLaterReplaysTheLedger(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.consume(placed, "mail", func(context.Context, *transport.Envelope) error { return errDown })
		for _, id := range []string{"e1", "e2", "e3"} {
			w.send(placed, id, "mail")
		}
		time.Sleep(5 * time.Minute)
		want := w.follow("e2", 0)
		if states(want) != "mail:dead-lettered/3" {
			t.Fatalf("e2: got %s; want it dead-lettered after 3 attempts", states(want))
		}
		c := w.collect(w.fabric.Process("dev-2"))
		trail, ok := c.index.Trail("e2") // at once after ready
		trail.Revision, want.Revision = 0, 0
		if !ok || states(trail) != states(want) || !trail.Settled {
			t.Errorf("another collector: got %v %s, gaps %v; want %s", ok, states(trail), trail.Gaps, states(want))
		}
		synctest.Wait()
		f, err := ListFailed(w.ctx, w.shop.Caller(), w.peer, FailedRequest{})
		if err != nil || f.Open != 3 || len(f.Causes) != 1 || f.Causes[0].Number != 1 {
			t.Errorf("its dead letters: got %+v, %v; want 3 of cause 1", f, err)
		}
	})
}

func TestWhatCannotBeReadIsCountedAndShowsAsAGap(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.send(charge, "c1", "payments")
		for i, body := range []string{"not JSON", `{"v":9,"process":"p","n":1}`} {
			e := &transport.Envelope{ID: []string{"x", "y"}[i], Address: ledger.Stream().Address, Time: time.Now(), Body: []byte(body)}
			if r := w.shop.Broker().Send(w.ctx, []*transport.Envelope{e}); r[0].Err != nil {
				t.Fatal(r[0].Err)
			}
		}
		time.Sleep(time.Second)
		if trail := w.follow("c1", 0); !slices.ContainsFunc(trail.Gaps, func(g string) bool { return strings.HasPrefix(g, "2 entries of the ledger") }) {
			t.Errorf("gaps: got %q; want one that says that 2 entries could not be read", trail.Gaps)
		}
		s, err := GetStats(w.ctx, w.shop.Caller(), w.peer)
		if err != nil || s.Ledger.Unreadable != 2 || !s.CaughtUp || len(s.Addresses) != 1 || s.Addresses[0].Accepted != 1 {
			t.Errorf("stats: got %+v, %v; want 2 unreadable, and 1 accepted at one address", s, err)
		}
	})
}

func TestAKilledReceiverShowsOnceSomebodyNotices(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		killed := w.fabric.Process("payments-9")
		writer := ledger.NewWriter(killed.Broker(), "payments")
		w.send(charge, "c1", "payments")
		ledger.As(writer, "payments", "payments-9").Record(ledger.Transition{Kind: ledger.Received, ID: "c1", Style: ledger.StyleCommand, Group: "payments", Attempt: 1}, nil)
		time.Sleep(time.Second)
		killed.Kill()
		if got := states(w.follow("c1", 0)); got != "payments:running/1" {
			t.Errorf("before anybody noticed: got %s; want it running", got)
		}
		before := w.follow("c1", 0)
		w.c.Gone("payments-9", time.Now())
		trail, err := FollowChange(w.ctx, w.shop.Caller(), w.peer, "c1", before.Revision, time.Second)
		if err != nil || states(trail) != "payments:waiting/1" || len(trail.Gaps) != 1 {
			t.Errorf("after: got %s, gaps %q, %v; want it waiting, with a gap", states(trail), trail.Gaps, err)
		}
		_ = writer.Close(t.Context()) // its process is dead
	})
}

func TestTheEndOfTheCollectorEndsWhatWaits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.send(charge, "c1", "payments")
		answered := make(chan error, 1)
		w.parts.Go(func() {
			_, err := w.c.Follow(t.Context(), FollowRequest{ID: "c1", Wait: "60s"})
			answered <- err
		})
		time.Sleep(time.Second)
		began := time.Now()
		w.stop()
		if err := <-answered; err != nil || time.Since(began) > 0 {
			t.Errorf("got %v after %v; want the trail as it is, at once", err, time.Since(began))
		}
		w.parts.Wait()
		if err := w.c.Run(t.Context(), nil); err == nil {
			t.Error("a second Run: got nil; want an error")
		}
	})
}

func TestAWrongRequestIsRefusedWithTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	c := New(nil2{})
	for _, x := range []struct {
		address, body string
		values        map[string][]string
		want          string
	}{
		{FollowAddress, "", map[string][]string{"id": {"a"}, "wait": {"soon"}}, "wait: got \"soon\""},
		{FollowAddress, "", map[string][]string{"id": {"a"}, "wait": {"2h"}}, "at most 1m0s"},
		{FollowAddress, "", map[string][]string{"id": {"a"}, "since": {"x"}}, "since: got \"x\""},
		{FollowAddress, "", map[string][]string{"id": {"a"}, "wiat": {"1s"}}, "wiat"},
		{FollowAddress, "", map[string][]string{"id": {"a", "b"}}, "want one value"},
		{FollowAddress, "{}", nil, "id: want"},
		{FollowAddress, `{"id":"a","nope":1}`, nil, "nope"},
		{RedriveAddress, `{}`, nil, "want either"},
		{RedriveAddress, `{"cause":1,"ids":["a"]}`, nil, "want either"},
		{RedriveAddress, `{"cause":true}`, nil, "want a number or a key"},
	} {
		for _, e := range c.Endpoints() {
			if e.Address != x.address {
				continue
			}
			body, err := e.Bind([]byte(x.body), x.values)
			if err == nil {
				_, err = e.Answer(t.Context(), &transport.Envelope{ID: "1", Body: body})
			}
			if transport.CodeOf(err) != transport.InvalidArgument || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%s %s %v: got %v; want invalid-argument with %q", x.address, x.body, x.values, err, x.want)
			}
		}
	}
}

// nil2 is a broker that nobody uses.
type nil2 struct{ transport.Broker }
