package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestDrainFinishesWhatRunsAndReturnsTheRest(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		first, second := fabric.Process("first").Broker(), fabric.Process("second").Broker()
		var here, there calls
		work := func(c *calls) func(context.Context, *transport.Envelope) error {
			return func(_ context.Context, e *transport.Envelope) error {
				c.add(e)
				time.Sleep(10 * time.Second)
				return nil
			}
		}
		c := start(t, first, rec, delivery.Subscription{Channel: queue, Concurrency: 2, Handle: work(&here)})
		for i := range 6 {
			send(t, first, to(queue, fmt.Sprint("m", i)))
		}
		time.Sleep(time.Second)
		began := time.Now()
		if err := c.stop(); err != nil || time.Since(began) != 9*time.Second {
			t.Errorf("Run = %v, %v after the stop; want nil once the handlers end after 9 s", err, time.Since(began))
		}
		start(t, second, rec, delivery.Subscription{Channel: queue, Concurrency: 2, Handle: work(&there)})
		time.Sleep(time.Minute)
		got := append(here.ids(), there.ids()...)
		slices.Sort(got)
		if want := []string{"m0", "m1", "m2", "m3", "m4", "m5"}; here.count() != 2 || !slices.Equal(got, want) {
			t.Errorf("handled %v before and %v after; want two and four, none twice", here.ids(), there.ids())
		}
	})
}

func TestDrainReturnsWhatIsBehindAKeyAndItsOrderHoldsAtTheNextInstance(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		first, second := fabric.Process("first").Broker(), fabric.Process("second").Broker()
		var all calls
		var failures atomic.Int64
		failing := delivery.Subscription{Channel: keyed, Handle: func(_ context.Context, e *transport.Envelope) error {
			all.add(e)
			if e.ID == "b1" && failures.Add(1) <= 4 {
				return errOut
			}
			time.Sleep(time.Second)
			return nil
		}}
		c := start(t, first, rec, failing)
		for i := range 3 { // a1 runs, b1 waits for a retry
			send(t, first, withKey(to(keyed, fmt.Sprint("a", i+1)), "a"), withKey(to(keyed, fmt.Sprint("b", i+1)), "b"))
		}
		time.Sleep(500 * time.Millisecond)
		if err := c.stop(); err != nil {
			t.Errorf("Run = %v; want nil", err)
		}
		start(t, second, rec, failing)
		time.Sleep(time.Minute)
		for key, want := range map[string]string{"a": "a1 a2 a3", "b": "b1 b1 b1 b1 b1 b2 b3"} {
			got := slices.DeleteFunc(all.ids(), func(id string) bool { return !strings.HasPrefix(id, key) })
			if !strings.HasSuffix(strings.Join(got, " "), want) {
				t.Errorf("key %s: %v; want it to end with %s", key, got, want)
			}
		}
		if n := len(all.ids()); n != 10 {
			t.Errorf("%d attempts: %v; want 10", n, all.ids())
		}
	})
}

func TestAHungHandlerIsCancelledAndItsMessageIsDeliveredAgain(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		p := fabric.Process("first")
		release := make(chan struct{})
		var cause atomic.Value
		c := start(t, p.Broker(), rec, delivery.Subscription{Channel: queue, Timeout: time.Hour, Handle: func(ctx context.Context, _ *transport.Envelope) error {
			<-ctx.Done()
			cause.Store(context.Cause(ctx))
			<-release
			return nil
		}})
		send(t, p.Broker(), to(queue, "hung"))
		synctest.Wait()
		began := time.Now()
		err := c.stop()
		if err == nil || !strings.Contains(err.Error(), "hung") || time.Since(began) != 25*time.Second {
			t.Errorf("Run = %v after %v; want an error that names the message after 25 s", err, time.Since(began))
		}
		if cause.Load() != delivery.ErrDrained {
			t.Errorf("the handler's context ended with %v; want %v", cause.Load(), delivery.ErrDrained)
		}
		p.Kill()
		var again calls
		start(t, fabric.Process("second").Broker(), rec, delivery.Subscription{Channel: queue, Handle: func(_ context.Context, e *transport.Envelope) error {
			again.add(e)
			return nil
		}})
		synctest.Wait()
		if got := again.ids(); !slices.Equal(got, []string{"hung"}) {
			t.Errorf("the next process got %v; want the message again", got)
		}
		close(release)
		synctest.Wait()
		if got := rec.of("hung", ""); !slices.Equal(got, []string{"received 1/6", "received 1/6", "done 1/6"}) {
			t.Errorf("trail = %q; want nothing from the handler that was given up", got)
		}
	})
}

func TestAnAttemptThatFailsInTheDrainIsCounted(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		handle := func(context.Context, *transport.Envelope) error {
			time.Sleep(10 * time.Second)
			return errOut
		}
		c := start(t, b, rec, delivery.Subscription{Channel: queue, Handle: handle})
		send(t, b, to(queue, "m"))
		synctest.Wait()
		if err := c.stop(); err != nil {
			t.Errorf("Run = %v; want nil", err)
		}
		start(t, b, rec, delivery.Subscription{Channel: queue, Handle: handle})
		time.Sleep(5 * time.Second)
		if got := rec.of("m", ""); !slices.Equal(got, []string{"received 1/6", "failed 1/6", "delayed 1/6", "received 2/6a2"}) {
			t.Errorf("trail = %q; want attempt 2 at the next instance", got)
		}
	})
}

func TestNothingIsSettledBeforeTheLedgerHasConfirmedTheOutcome(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		p := fabric.Process("first")
		confirms := make(chan func(), 10)
		rec.confirm = func(_ ledger.Transition, confirmed func()) { confirms <- confirmed }
		c := start(t, p.Broker(), rec, delivery.Subscription{Channel: queue, Handle: func(context.Context, *transport.Envelope) error { return nil }})
		send(t, p.Broker(), to(queue, "m"))
		synctest.Wait()
		waiting := func() int64 {
			n, _, err := fabric.Process("operator"+time.Now().String()).Broker().Backlog(context.Background(), queue, "")
			if err != nil {
				t.Fatalf("Backlog = %v", err)
			}
			return n
		}
		if n := waiting(); n != 1 || c.Status().InFlight != 1 {
			t.Errorf("handled but not confirmed: backlog %d, in flight %d; want 1, 1", n, c.Status().InFlight)
		}
		(<-confirms)()
		time.Sleep(time.Nanosecond)
		if n := waiting(); n != 0 || c.Status().InFlight != 0 {
			t.Errorf("confirmed: backlog %d, in flight %d; want 0, 0", n, c.Status().InFlight)
		}
	})
}

func TestDeadLettersWaitForABrokerThatIsAway(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		var tried calls
		s := delivery.Subscription{Channel: queue, Handle: func(_ context.Context, e *transport.Envelope) error {
			tried.add(e)
			fabric.Stop()
			return delivery.Permanent(errOut)
		}}
		c := start(t, b, rec, s)
		send(t, b, to(queue, "m"))
		time.Sleep(time.Hour)
		if tried.count() != 1 || c.Status().InFlight != 1 || c.Status().Dead != 0 {
			t.Errorf("an hour without a broker: tried %d times, %+v; want once, in flight", tried.count(), c.Status())
		}
		fabric.Start()
		time.Sleep(2 * time.Second)
		if s := c.Status(); s.Dead != 1 || s.InFlight != 0 {
			t.Errorf("the broker is back: %+v; want a dead letter and nothing in flight", s)
		}

		send(t, b, to(queue, "kept"))
		synctest.Wait()
		if err := c.stop(); err != nil {
			t.Errorf("Run = %v; want nil: what cannot be handed off goes back", err)
		}
		fabric.Start()
		if n, _, err := b.Backlog(context.Background(), queue, ""); n != 1 || err != nil {
			t.Errorf("after the drain the queue holds %d, %v; want the message", n, err)
		}
	})
}

// refuser refuses dead letters and counts how often it is asked.
type refuser struct {
	transport.Broker
	asked   atomic.Int64
	refuses atomic.Bool
}

func (r *refuser) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	if batch[0].Address == delivery.DeadLetters().Address && r.refuses.Load() {
		r.asked.Add(1)
		return []transport.Receipt{{Err: fmt.Errorf("%w: too large", transport.ErrRefused)}}
	}
	return r.Broker.Send(ctx, batch)
}

func TestARefusedDeadLetterIsNeitherLostNorSpinningNorInTheWay(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := &refuser{Broker: fabric.Process("first").Broker()}
		b.refuses.Store(true)
		var good calls
		c := start(t, b, rec, delivery.Subscription{Channel: queue, Concurrency: 1, Handle: func(_ context.Context, e *transport.Envelope) error {
			if e.ID == "bad" {
				return delivery.Permanent(errOut)
			}
			good.add(e)
			return nil
		}})
		send(t, b, to(queue, "bad"), to(queue, "good"))
		time.Sleep(time.Hour)
		if n := b.asked.Load(); n < 30 || n > 70 {
			t.Errorf("the broker was asked %d times in an hour; want about once a minute", n)
		}
		if s := c.Status(); good.count() != 1 || s.Stuck != 1 || s.InFlight != 1 {
			t.Errorf("meanwhile: %d others handled, %+v; want 1, and one stuck in flight", good.count(), s)
		}
		b.refuses.Store(false)
		time.Sleep(time.Minute)
		if s := c.Status(); s.Dead != 1 || s.Stuck != 0 || s.InFlight != 0 {
			t.Errorf("once it is taken: %+v; want one dead, none stuck, none in flight", s)
		}
	})
}

func TestARevokedMessageIsStoppedAndLeftToItsNewOwner(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		p := fabric.Process("first")
		var cause atomic.Value
		var tried calls
		c := start(t, p.Broker(), rec, delivery.Subscription{Channel: keyed, Handle: func(ctx context.Context, e *transport.Envelope) error {
			if tried.add(e); tried.count() == 1 {
				<-ctx.Done()
				cause.Store(context.Cause(ctx))
				return ctx.Err()
			}
			return nil
		}})
		send(t, p.Broker(), withKey(to(keyed, "m1"), "k"), withKey(to(keyed, "m2"), "k"))
		synctest.Wait()
		p.Expel()
		synctest.Wait()
		if cause.Load() != delivery.ErrRevoked {
			t.Errorf("the handler's context ended with %v; want %v", cause.Load(), delivery.ErrRevoked)
		}
		if got := tried.ids(); !slices.Equal(got, []string{"m1", "m1", "m2"}) {
			t.Errorf("handled %v; want m1 again and then m2", got)
		}
		if s := c.Status(); s.Dead != 0 || s.Delayed != 0 || s.InFlight != 0 {
			t.Errorf("Status() = %+v; want no dead letter, no copy, none in flight", s)
		}
	})
}

func TestAMessageThatIsNoLongerValidIsNotHandled(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		p := fabric.Process("first")
		var tried calls
		start(t, p.Broker(), rec, delivery.Subscription{Channel: keyed, Concurrency: 1, Handle: func(ctx context.Context, e *transport.Envelope) error {
			if tried.add(e); tried.count() == 1 {
				<-ctx.Done() // the other one waits for the worker
			}
			return nil
		}})
		send(t, p.Broker(), withKey(to(keyed, "a"), "a"), withKey(to(keyed, "b"), "b"))
		synctest.Wait()
		p.Expel()
		synctest.Wait()
		got := tried.ids()
		slices.Sort(got)
		if !slices.Equal(got, []string{"a", "a", "b"}) {
			t.Errorf("handled %v; want b once, as it came to the next owner", got)
		}
	})
}

func TestAConsumerRunsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		c := start(t, b, rec, delivery.Subscription{Channel: queue, Handle: func(context.Context, *transport.Envelope) error { return nil }})
		if err := c.Run(context.Background(), nil); err == nil {
			t.Error("a second Run = nil; want an error")
		}
		if err := c.stop(); err != nil || c.Status().Running {
			t.Errorf("Run = %v, running %v; want nil, false", err, c.Status().Running)
		}
	})
}

func TestRunSaysWhyItCannotReceive(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		other := queue
		other.Partitions = 8
		declare(t, b, other)
		c, err := delivery.New(b, rec, delivery.Subscription{Channel: queue, Handle: func(context.Context, *transport.Envelope) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "8 partitions") {
			t.Errorf("Run = %v; want an error that names the other form", err)
		}
	})
}

func TestNewReportsEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := delivery.New(mem.New().Process("p").Broker(), nil, delivery.Subscription{
		Channel: transport.Channel{Address: "Bad", Pattern: transport.Topic}, Concurrency: -1, Timeout: -1,
		Retries: delivery.Retries{Immediate: -1, Delays: []time.Duration{0}},
	})
	for _, want := range []string{"address", "group", "no handler", "concurrency", "timeout", "immediate", "delay 0s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v; want it to speak of %q", err, want)
		}
	}
	if _, err := delivery.New(nil, nil, delivery.Subscription{}); err == nil {
		t.Error("New without a broker = nil; want an error")
	}
}
