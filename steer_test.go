package parley_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/delivery"
)

func TestAnInstanceIsSteeredWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var running, most, all atomic.Int32
		w.serve(w.client("bar"), clean.Handle(func(context.Context, order) error {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second)
			running.Add(-1)
			all.Add(1)
			return nil
		}, parley.Concurrency(1)))
		guest := w.client("guest")
		bar := w.directory.Instances()[0]
		steer := func(what parley.Steering) delivery.Status {
			t.Helper()
			what.Address = clean.Address()
			s, err := parley.SteerInstance(t.Context(), guest, bar, what)
			if err != nil {
				t.Fatalf("SteerInstance(%+v) = %v", what, err)
			}
			return s
		}
		if s := steer(parley.Steering{Do: parley.SteerPause, Reason: "the floor is wet"}); !s.Paused || s.Because != "the floor is wet" {
			t.Errorf("paused: %+v; want it paused with its reason", s)
		}
		for range 12 {
			if _, err := clean.Send(t.Context(), guest, order{Drink: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		d, err := parley.DescribeInstance(t.Context(), guest, bar)
		if err != nil || all.Load() != 0 || !d.Subscriptions[0].Paused {
			t.Errorf("while it is paused: %d handled, described as %+v, %v; want none, and why", all.Load(), d.Subscriptions, err)
		}
		if s := steer(parley.Steering{Do: parley.SteerConcurrency, Concurrency: 4}); s.Concurrency != 4 || !s.Paused {
			t.Errorf("with another concurrency: %+v; want 4, and still paused", s)
		}
		steer(parley.Steering{Do: parley.SteerResume})
		time.Sleep(5 * time.Second)
		if all.Load() != 12 || most.Load() != 4 {
			t.Errorf("resumed: %d handled, %d at once; want 12, 4", all.Load(), most.Load())
		}
		for want, what := range map[string]parley.Steering{
			"does not receive": {Address: served.Address(), Group: "bar", Do: parley.SteerPause},
			"want pause":       {Address: clean.Address(), Do: "dance"},
			"want 1 to":        {Address: clean.Address(), Do: parley.SteerConcurrency},
		} {
			if _, err := parley.SteerInstance(t.Context(), guest, bar, what); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("SteerInstance(%+v) = %v; want an error with %q", what, err, want)
			}
		}
	})
}

// lockedBuffer is a bytes.Buffer for several writers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAServiceWhoseCalleeIsAwayPausesAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var log lockedBuffer
		bar := w.clientWith("bar", parley.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		var handled atomic.Int32
		w.serve(bar, clean.Handle(func(ctx context.Context, o order) error {
			if _, err := getPrice.Call(ctx, bar, item{Name: o.Drink}); err != nil {
				return err
			}
			handled.Add(1)
			return nil
		}), served.Subscribe("bar", func(context.Context, order) error { return errors.New("a defect") }))
		guest := w.client("guest")
		for range 50 {
			for _, err := range []error{second(clean.Send(t.Context(), guest, order{Drink: "x"})), second(served.Publish(t.Context(), guest, order{Drink: "x"}))} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(5 * time.Second)
		instance := w.directory.Instances()[0] // the only one so far
		d, err := parley.DescribeInstance(t.Context(), guest, instance)
		if err != nil || !d.Subscriptions[0].Paused || d.Subscriptions[1].Paused || !strings.Contains(d.Subscriptions[0].Because, "dependency is down") {
			t.Errorf("with its callee away: %+v, %v; want the commands paused, and the events, which fail otherwise, not", d.Subscriptions, err)
		}
		w.serve(w.client("cafe"), getPrice.Handle(func(context.Context, item) (price, error) { return price{1}, nil }))
		time.Sleep(2 * time.Minute)
		if text := log.String(); handled.Load() != 50 || !strings.Contains(text, "a subscription is paused") || !strings.Contains(text, "a subscription goes on") {
			t.Errorf("%d handled, logged %s; want all 50, the pause and its end", handled.Load(), text)
		}
		if d, err = parley.DescribeInstance(t.Context(), guest, instance); err != nil || d.Subscriptions[0].Paused || d.Subscriptions[0].Dead != 0 {
			t.Errorf("with its callee back: %+v, %v; want it to go on, no dead letter", d.Subscriptions, err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestStopKeyKeepsWhatFollowsADeadLetterFromItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		var got []string
		bar := w.client("bar")
		s, err := parley.NewService(bar, brew.Handle(func(_ context.Context, o order) error {
			if o.Drink == "sold out" {
				return parley.Permanent(errors.New("sold out"))
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, o.Table+o.Drink)
			return nil
		}, parley.StopKey(), parley.Concurrency(1)))
		if err != nil {
			t.Fatal(err)
		}
		w.run(s)
		guest := w.client("guest")
		for _, o := range []order{{"1", "tea"}, {"1", "sold out"}, {"1", "milk"}, {"2", "rum"}} {
			if _, err := brew.Send(t.Context(), guest, o); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(got)
		if !slices.Equal(got, []string{"1tea", "2rum"}) || s.Describe().Subscriptions[0].StoppedKeys != 1 {
			t.Errorf("handled %v, %+v; want no milk for table 1, whose key is stopped", got, s.Describe().Subscriptions)
		}
		if _, err := parley.NewService(bar, served.Subscribe("bar", func(context.Context, order) error { return nil }, parley.StopKey())); err == nil || !strings.Contains(err.Error(), "StopKey") {
			t.Errorf("NewService with StopKey without a key = %v; want an error about it", err)
		}
	})
}

func TestWhatAHandlerSendsHasTheSameIDsAtEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		var attempts [][]parley.MessageID
		handle := func(group string) func(context.Context, order) error {
			c := w.client(group)
			return func(ctx context.Context, o order) error {
				var ids []parley.MessageID
				for range 2 {
					id, err := served.Publish(ctx, c, o)
					ids = append(ids, id)
					if err != nil {
						return err
					}
				}
				id, err := clean.Send(ctx, c, o)
				run, started := cater.Start(ctx, c, o)
				own, given := clean.Send(ctx, c, o, parley.WithID(parley.MessageID("own-"+group)))
				if err := errors.Join(err, started, given); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				attempts = append(attempts, append(ids, id, run.ID, own))
				return errors.New("again")
			}
		}
		w.serve(w.client("bar"), sold.Subscribe("bar", handle("bar"), parley.Retries(0, time.Minute), parley.Concurrency(1)))
		w.serve(w.client("till"), sold.Subscribe("till", handle("till"), parley.Retries(0), parley.Concurrency(1)))
		var mails, cleaned atomic.Int32
		w.serve(w.client("mail"), served.Subscribe("mail", func(context.Context, order) error { mails.Add(1); return nil }),
			clean.Handle(func(context.Context, order) error { cleaned.Add(1); return nil }))
		if _, err := sold.Publish(t.Context(), w.client("guest"), order{Drink: "tea"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(attempts) != 3 {
			t.Fatalf("%d attempts; want 2 of one group and 1 of another", len(attempts))
		}
		slices.SortFunc(attempts, func(a, b []parley.MessageID) int { return strings.Compare(string(a[4]), string(b[4])) })
		if !slices.Equal(attempts[0], attempts[1]) {
			t.Errorf("ids of two attempts: %v and %v; want the same", attempts[0], attempts[1])
		}
		all := slices.Concat(attempts[0], attempts[2])
		if slices.Sort(all); len(slices.Compact(all)) != 10 {
			t.Errorf("ids of two groups: %v and %v; want each another", attempts[0], attempts[2])
		}
		if mails.Load() != 4 || cleaned.Load() != 4 {
			t.Errorf("%d events and %d commands arrived; want 4 and 4: a repeat within the broker's window is none", mails.Load(), cleaned.Load())
		}
	})
}
