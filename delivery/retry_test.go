package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestPoisonIsTriedSixTimesOnScheduleAndThenIsADeadLetter(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		var tried, good calls
		c := start(t, b, rec, delivery.Subscription{Channel: queue, Service: "bank", Concurrency: 1, Handle: func(_ context.Context, e *transport.Envelope) error {
			if e.ID != "poison" {
				good.add(e)
				return nil
			}
			tried.add(e)
			return errOut
		}})
		send(t, b, to(queue, "poison"))
		for i := range 20 {
			send(t, b, to(queue, fmt.Sprint("good-", i)))
		}
		time.Sleep(9 * time.Second)
		if good.count() != 20 {
			t.Errorf("while the poison waited, %d of 20 others were handled; want all", good.count())
		}
		time.Sleep(time.Hour)
		want := []struct {
			after time.Duration
			copy  string
		}{{0, ""}, {0, ""}, {0, ""}, {10 * time.Second, "a4"}, {time.Minute, "a5"}, {10 * time.Minute, "a6"}}
		if len(tried.list()) != len(want) {
			t.Fatalf("it was tried %d times: %+v; want %d", len(tried.list()), tried.list(), len(want))
		}
		before := time.Duration(0)
		for i, got := range tried.list() {
			pause := got.at - before
			before = got.at
			if got.copy != want[i].copy || pause < want[i].after || pause > want[i].after*11/10+50*time.Millisecond {
				t.Errorf("attempt %d was of copy %q after %v; want copy %q after %v and at most a tenth more", i+1, got.copy, pause, want[i].copy, want[i].after)
			}
		}
		trail := []string{
			"received 1/6", "failed 1/6", "received 2/6", "failed 2/6", "received 3/6", "failed 3/6", "delayed 3/6",
			"received 4/6a4", "failed 4/6a4", "delayed 4/6a4", "received 5/6a5", "failed 5/6a5", "delayed 5/6a5",
			"received 6/6a6", "failed 6/6a6", "dead-lettered 6/6a6",
		}
		if got := rec.of("poison", queue.Address); !slices.Equal(got, trail) {
			t.Errorf("trail = %q\nwant %q", got, trail)
		}
		dead, _ := graveyard(t, b)
		if len(dead) != 1 {
			t.Fatalf("%d dead letters; want 1", len(dead))
		}
		d := dead[0]
		if d.ID != "poison" || d.Attempts != 6 || d.Permanent || d.Reason != "card declined" || d.Receiver != queue.Address || d.Service != "bank" || d.Last.IsZero() {
			t.Errorf("dead letter = %+v; want the poison after 6 attempts, exhausted, with reason, receiver, service and time", d)
		}
		e, err := d.Original()
		if err != nil || string(e.Body) != `{"id":"poison"}` || e.Headers["tenant"] != "zürich" || e.Trace == "" || e.Correlation != "story" {
			t.Errorf("Original() = %+v, %v; want the message as it was", e, err)
		}
		if s := c.Status(); s.Handled != 20 || s.Failed != 6 || s.Delayed != 3 || s.Dead != 1 || s.InFlight != 0 || !s.Running {
			t.Errorf("Status() = %+v; want 20 handled, 6 failed, 3 delayed, 1 dead, none in flight, running", s)
		}
	})
}

func TestADelayedCopyComesBackToEachFailingGroupAlone(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		var mail, fraud, stock calls
		for _, g := range []struct {
			name  string
			calls *calls
			err   error
		}{{"mail", &mail, errOut}, {"fraud", &fraud, errOut}, {"stock", &stock, nil}} {
			start(t, b, rec, delivery.Subscription{Channel: topic, Group: g.name, Style: "event", Handle: func(_ context.Context, e *transport.Envelope) error {
				g.calls.add(e)
				return g.err
			}})
		}
		send(t, b, to(topic, "order"))
		time.Sleep(time.Hour)
		if mail.count() != 6 || fraud.count() != 6 || stock.count() != 1 {
			t.Errorf("mail, fraud, stock were called %d, %d, %d times; want 6, 6, 1", mail.count(), fraud.count(), stock.count())
		}
		if got := rec.of("order", "stock"); !slices.Equal(got, []string{"received 1/6", "done 1/6"}) {
			t.Errorf("trail of stock = %q; want one attempt", got)
		}
		dead, _ := graveyard(t, b)
		if len(dead) != 2 || dead[0].Group == dead[1].Group {
			t.Errorf("dead letters = %+v; want one of mail and one of fraud", dead)
		}
	})
}

func TestKeyedRetriesStayInTheLaneAndNeitherBlockOtherKeysNorAWorker(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		var all calls
		start(t, b, rec, delivery.Subscription{Channel: keyed, Concurrency: 1, Handle: func(_ context.Context, e *transport.Envelope) error {
			all.add(e)
			if e.ID == "a1" {
				return errOut
			}
			return nil
		}})
		for i := range 3 {
			send(t, b, withKey(to(keyed, fmt.Sprint("a", i+1)), "a"), withKey(to(keyed, fmt.Sprint("b", i+1)), "b"))
		}
		time.Sleep(500 * time.Millisecond)
		if got := strings.Join(all.ids(), " "); got != "a1 b1 b2 b3 a1 a1" {
			t.Errorf("in the first half second: %s; want a1 three times, and all of b meanwhile", got)
		}
		time.Sleep(time.Minute)
		if got := strings.Join(all.ids(), " "); got != "a1 b1 b2 b3 a1 a1 a1 a1 a1 a2 a3" {
			t.Errorf("in all: %s; want a1 six times, and a2 and a3 after it", got)
		}
		if last := all.list()[8].at - all.list()[5].at; last < 36*time.Second || last > 40*time.Second {
			t.Errorf("the three delays of the lane took %v; want 36 s and at most a tenth more", last)
		}
		want := []string{
			"received 1/6", "failed 1/6", "received 2/6", "failed 2/6", "received 3/6", "failed 3/6", "delayed 3/6",
			"received 4/6", "failed 4/6", "delayed 4/6", "received 5/6", "failed 5/6", "delayed 5/6", "received 6/6", "failed 6/6", "dead-lettered 6/6",
		}
		if got := rec.of("a1", ""); !slices.Equal(got, want) {
			t.Errorf("trail = %q\nwant %q", got, want)
		}
	})
}

func TestPermanentUnreadableAndPanickingMessages(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		var all calls
		start(t, b, rec, delivery.Subscription{Channel: queue, Concurrency: 2, Handle: func(_ context.Context, e *transport.Envelope) error {
			all.add(e)
			switch e.ID {
			case "permanent":
				return fmt.Errorf("charging: %w", delivery.Permanent(errOut))
			case "panic", "panic-too":
				return indexBeyond(nil)
			}
			return nil
		}})
		malformed := to(queue, "malformed")
		malformed.Headers = map[string]string{transport.Malformed: "attribute time: no time"}
		send(t, b, to(queue, "permanent"), malformed, to(queue, "panic"), to(queue, "panic-too"), to(queue, "fine"))
		time.Sleep(time.Hour)
		dead, _ := graveyard(t, b)
		by := make(map[string]*delivery.DeadLetter)
		for _, d := range dead {
			by[d.ID] = d
		}
		if len(dead) != 4 || len(by) != 4 {
			t.Fatalf("%d dead letters of %d messages; want 4 of 4", len(dead), len(by))
		}
		if d := by["permanent"]; !d.Permanent || d.Attempts != 1 || d.Reason != "charging: card declined" {
			t.Errorf("permanent: %+v; want it after one attempt", d)
		}
		if d := by["malformed"]; !d.Permanent || !strings.Contains(d.Reason, "no time") || slices.Contains(all.ids(), "malformed") {
			t.Errorf("malformed: %+v; want a permanent failure with the driver's reason, and no handler", d)
		}
		d, too := by["panic"], by["panic-too"]
		if d.Permanent || d.Attempts != 6 || !strings.HasPrefix(d.Reason, "panic: runtime error: index out of range") {
			t.Errorf("panic: %+v; want 6 attempts and what it said", d)
		}
		if !strings.HasPrefix(d.Stack, "github.com/parley-io/parley/delivery_test.indexBeyond#") || d.Stack != too.Stack {
			t.Errorf("stacks of one defect: %q and %q; want indexBeyond with the same hash", d.Stack, too.Stack)
		}
		if !slices.Contains(all.ids(), "fine") {
			t.Errorf("handled: %v; want the others to go on", all.ids())
		}
	})
}

// indexBeyond panics.
func indexBeyond(s []error) error { return s[len(s)+1] }

func TestAHandlerThatEndsItsGoroutineFailsAndItsWorkerGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		c := start(t, b, rec, delivery.Subscription{Channel: queue, Concurrency: 1, Retries: delivery.Retries{Immediate: 1}, Handle: func(_ context.Context, e *transport.Envelope) error {
			if e.ID == "exit" {
				runtime.Goexit()
			}
			return nil
		}})
		send(t, b, to(queue, "exit"), to(queue, "fine"))
		time.Sleep(time.Second)
		if got := rec.of("exit", ""); !slices.Equal(got, []string{"received 1/2", "failed 1/2", "received 2/2", "failed 2/2", "dead-lettered 2/2"}) {
			t.Errorf("trail = %q; want two failed attempts and a dead letter", got)
		}
		if got := rec.of("fine", ""); !slices.Equal(got, []string{"received 1/2", "done 1/2"}) {
			t.Errorf("trail of the next one = %q; want it done", got)
		}
		if err := c.stop(); err != nil {
			t.Errorf("Run = %v; want nil", err)
		}
	})
}

func TestRetryAfterIsAFloorOfTheNextDelay(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		var free, ordered calls
		handle := func(c *calls, after time.Duration) func(context.Context, *transport.Envelope) error {
			return func(_ context.Context, e *transport.Envelope) error {
				if c.add(e); c.count() == 1 {
					return fmt.Errorf("busy: %w", delivery.RetryAfter(errOut, after))
				}
				return nil
			}
		}
		start(t, b, rec, delivery.Subscription{Channel: queue, Handle: handle(&free, 3*time.Hour)})
		start(t, b, rec, delivery.Subscription{Channel: keyed, Handle: handle(&ordered, 3*time.Hour)})
		send(t, b, to(queue, "free"), withKey(to(keyed, "ordered"), "k"))
		time.Sleep(4 * time.Hour)
		if len(free.list()) != 2 || free.list()[1].at < 3*time.Hour || free.list()[1].at > 3*time.Hour+time.Minute || free.list()[1].copy != "a2" {
			t.Errorf("without a key: %+v; want the second attempt as copy a2 after 3 h", free.list())
		}
		if len(ordered.list()) != 2 || ordered.list()[1].at != 5*time.Minute || ordered.list()[1].copy != "" {
			t.Errorf("with a key: %+v; want the second attempt in the lane after 5 min", ordered.list())
		}
	})
}

func TestExpiredAndUnwantedMessagesAreRecordedAndNotHandled(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		declare(t, b, queue)
		late := to(queue, "late")
		late.Lifetime = time.Minute
		later := to(queue, "delayed")
		later.Lifetime, later.NotBefore = time.Minute, time.Now().Add(2*time.Minute+time.Second)
		send(t, b, late, later, to(queue, "unwanted"), to(queue, "unclear"), to(queue, "wanted"))
		time.Sleep(2 * time.Minute)
		var all calls
		c := start(t, b, rec, delivery.Subscription{
			Channel: queue, Retries: never,
			Wants: func(e *transport.Envelope) (bool, error) {
				if e.ID == "unclear" {
					return false, errOut
				}
				return e.ID != "unwanted", nil
			},
			Handle: func(_ context.Context, e *transport.Envelope) error {
				all.add(e)
				return nil
			},
		})
		time.Sleep(time.Minute)
		if got := all.ids(); !slices.Equal(got, []string{"wanted", "delayed"}) {
			t.Errorf("handled: %v; want wanted, and delayed, whose lifetime begins when its delay ends", got)
		}
		for id, want := range map[string][]string{
			"late": {"expired 1/1"}, "unwanted": {"filtered 1/1"}, "unclear": {"received 1/1", "failed 1/1", "dead-lettered 1/1"},
		} {
			if got := rec.of(id, ""); !slices.Equal(got, want) {
				t.Errorf("trail of %s = %q; want %q", id, got, want)
			}
		}
		if s := c.Status(); s.Expired != 1 || s.Filtered != 1 || s.InFlight != 0 {
			t.Errorf("Status() = %+v; want 1 expired, 1 filtered, none in flight", s)
		}
	})
}

func TestAMessageWhoseLifetimeEndsBeforeItsNextAttemptIsADeadLetter(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		ten := 10 * time.Second
		start(t, b, rec, delivery.Subscription{
			Channel: queue, Retries: delivery.Retries{Delays: []time.Duration{ten, ten, ten, ten}},
			Handle: func(context.Context, *transport.Envelope) error { return errOut },
		})
		e := to(queue, "short")
		e.Lifetime = 25 * time.Second
		send(t, b, e)
		time.Sleep(time.Minute)
		dead, _ := graveyard(t, b)
		if len(dead) != 1 || dead[0].Attempts != 3 || !strings.Contains(dead[0].Reason, "lifetime") {
			t.Errorf("dead letters = %+v; want one after attempts at 0, 10 and 20 s, because the next is after 25 s", dead)
		}
	})
}

func TestTheHandlersDeadlineEndsItsContextAndFailsTheAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		start(t, b, rec, delivery.Subscription{Channel: queue, Timeout: 2 * time.Second, Retries: never, Handle: func(ctx context.Context, _ *transport.Envelope) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		send(t, b, to(queue, "slow"))
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, got := range rec.transitions() {
			if got.Kind == ledger.Failed && (got.Took != 2*time.Second || !strings.Contains(got.Reason, "deadline of 2s")) {
				t.Errorf("failed: %+v; want it after 2 s, with the deadline as the reason", got)
			}
		}
		if got := rec.of("slow", ""); !slices.Equal(got, []string{"received 1/1", "failed 1/1", "dead-lettered 1/1"}) {
			t.Errorf("trail = %q; want one failed attempt", got)
		}
	})
}

func TestPredicatesSeeThroughWrapping(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("a: %w", delivery.RetryAfter(fmt.Errorf("b: %w", delivery.Permanent(errOut)), time.Minute))
	if !delivery.IsPermanent(err) || delivery.RetryAfterOf(err) != time.Minute || !errors.Is(err, errOut) || err.Error() != "a: b: card declined" {
		t.Errorf("%v: permanent %v, after %v, is errOut %v; want true, 1m, true", err, delivery.IsPermanent(err), delivery.RetryAfterOf(err), errors.Is(err, errOut))
	}
	if delivery.Permanent(nil) != nil || delivery.RetryAfter(nil, time.Second) != nil || delivery.IsPermanent(errOut) || delivery.RetryAfterOf(errOut) != 0 {
		t.Error("nil, or an unmarked error, is marked")
	}
}
