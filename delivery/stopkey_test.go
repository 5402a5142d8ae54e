package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// ward is a subscription with StopKey whose handler fails the messages that are sick.
type ward struct {
	calls
	mu   sync.Mutex
	sick map[string]bool
}

func newWard(sick ...string) *ward {
	w := &ward{sick: make(map[string]bool)}
	for _, id := range sick {
		w.sick[id] = true
	}
	return w
}

func (w *ward) heal(ids ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		delete(w.sick, id)
	}
}

func (w *ward) subscription() delivery.Subscription {
	return delivery.Subscription{Channel: keyed, StopKey: true, Retries: never, Handle: func(_ context.Context, e *transport.Envelope) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.sick[e.ID] {
			return errOut
		}
		w.add(e)
		return nil
	}}
}

// sendKey sends messages of one key, in their order.
func sendKey(t *testing.T, b transport.Broker, key string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		send(t, b, withKey(to(keyed, id), key))
	}
	synctest.Wait()
	time.Sleep(time.Second) // partitions are learned, records are read
}

// letters are the dead letters that nobody has redriven, as "id" or "id<behind", in their order.
func letters(t *testing.T, b transport.Broker) (open []*delivery.DeadLetter, shown []string) {
	t.Helper()
	dead, redriven := graveyard(t, b)
	for _, d := range dead {
		if slices.ContainsFunc(redriven, func(r *delivery.Redriven) bool { return r.ID == d.ID && r.Copy == d.Copy && r.Receiver == d.Receiver }) {
			continue
		}
		open = append(open, d)
		if d.Behind == "" {
			shown = append(shown, d.ID)
		} else {
			shown = append(shown, d.ID+"<"+d.Behind)
		}
	}
	return open, shown
}

// redriveAll redrives some open letters, in the order of the stream.
func redriveAll(t *testing.T, b transport.Broker, ids ...string) {
	t.Helper()
	open, _ := letters(t, b)
	for _, d := range open {
		if len(ids) > 0 && !slices.Contains(ids, d.ID) {
			continue
		}
		if err := delivery.Redrive(t.Context(), b, ledger.Discard, d, "ann"); err != nil {
			t.Fatalf("Redrive(%s) = %v", d.ID, err)
		}
	}
	time.Sleep(time.Second)
}

func (w *ward) want(t *testing.T, when string, ids ...string) {
	t.Helper()
	if got := w.ids(); !slices.Equal(got, ids) {
		t.Errorf("%s: handled %v; want %v", when, got, ids)
	}
}

func wantLetters(t *testing.T, b transport.Broker, when string, want ...string) {
	t.Helper()
	if _, got := letters(t, b); !slices.Equal(got, want) {
		t.Errorf("%s: open dead letters %v; want %v", when, got, want)
	}
}

func TestWhatComesBehindADeadLetterFollowsItAndComesBackInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		w := newWard("a2")
		c := start(t, b, rec, w.subscription())
		sendKey(t, b, "a", "a1", "a2", "a3", "a4")
		sendKey(t, b, "b", "b1", "b2")
		w.want(t, "with a stopped", "a1", "b1", "b2")
		wantLetters(t, b, "with a stopped", "a2", "a3<a2", "a4<a2")
		open, _ := letters(t, b)
		if d := open[1]; d.Reason != "behind a2" || d.Attempts != 0 || !d.StopKey || d.Permanent || !open[0].StopKey || open[0].Attempts != 1 {
			t.Errorf("dead letters: %+v and %+v; want one after an attempt, one behind it after none", open[0], d)
		}
		if got := rec.of("a3", ""); !slices.Equal(got, []string{"dead-lettered 1/1"}) {
			t.Errorf("trail of a3: %q; want that it is a dead letter, and no attempt", got)
		}
		if s := c.Status(); s.StoppedKeys != 1 || s.Dead != 3 {
			t.Errorf("Status = %+v; want 1 stopped key, 3 dead", s)
		}
		w.heal("a2")
		redriveAll(t, b)
		sendKey(t, b, "a", "a5")
		w.want(t, "redriven", "a1", "b1", "b2", "a2", "a3", "a4", "a5")
		wantLetters(t, b, "redriven")
		if s := c.Status(); s.StoppedKeys != 0 || s.InFlight != 0 {
			t.Errorf("Status = %+v; want no stopped key and nothing in flight", s)
		}
	})
}

func TestAKeyStaysStoppedAcrossRestartsAndOwners(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		w := newWard("a1", "b1", "c1", "d1")
		outside := fabric.Process("outside").Broker()
		first := fabric.Process("first")
		start(t, first.Broker(), rec, w.subscription())
		keys := []string{"a", "b", "c", "d"}
		for _, key := range keys {
			sendKey(t, outside, key, key+"1", key+"2")
		}
		start(t, fabric.Process("second").Broker(), rec, w.subscription()) // takes partitions over in good order
		for _, key := range keys {
			sendKey(t, outside, key, key+"3")
		}
		first.Kill()
		for _, key := range keys {
			sendKey(t, outside, key, key+"4")
		}
		w.want(t, "with all keys stopped")
		open, _ := letters(t, outside)
		if len(open) != 4*len(keys) {
			t.Errorf("%d dead letters; want all %d messages", len(open), 4*len(keys))
		}
		w.heal("a1", "b1", "c1", "d1")
		redriveAll(t, outside)
		for _, key := range keys {
			sendKey(t, outside, key, key+"5")
			var got []string
			for _, id := range w.ids() {
				if strings.HasPrefix(id, key) {
					got = append(got, id)
				}
			}
			if want := []string{key + "1", key + "2", key + "3", key + "4", key + "5"}; !slices.Equal(got, want) {
				t.Errorf("key %s was handled in the order %v; want %v", key, got, want)
			}
		}
	})
}

func TestWhatComesBackBeforeItsTurnFollowsAgain(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		w := newWard("a1", "a2")
		start(t, b, rec, w.subscription())
		sendKey(t, b, "a", "a1", "a2", "a3")
		redriveAll(t, b, "a3")
		wantLetters(t, b, "a3 came back first", "a1", "a2<a1", "a3<a1")
		redriveAll(t, b) // fails again
		wantLetters(t, b, "the head failed again", "a1", "a2<a1", "a3<a1")
		w.heal("a1")
		redriveAll(t, b) // the next one fails
		w.want(t, "the second one failed", "a1")
		wantLetters(t, b, "the second one failed", "a2", "a3<a2")
		w.heal("a2")
		redriveAll(t, b)
		sendKey(t, b, "a", "a4")
		w.want(t, "all redriven", "a1", "a2", "a3", "a4")
		wantLetters(t, b, "all redriven")
	})
}

func TestWhatArrivesDuringARedriveIsBehindWhatIsNotBack(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		w := newWard("a1")
		start(t, b, rec, w.subscription())
		sendKey(t, b, "a", "a1", "a2")
		w.heal("a1")
		redriveAll(t, b, "a1")
		sendKey(t, b, "a", "a3")
		wantLetters(t, b, "the head is back", "a2<a1", "a3<a2")
		redriveAll(t, b)
		w.want(t, "all redriven", "a1", "a2", "a3")
	})
}

func TestAReleasedKeyGoesOnWithoutItsDeadLetters(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		w := newWard("a1")
		start(t, b, rec, w.subscription())
		sendKey(t, b, "a", "a1", "a2")
		for range 2 {
			if err := delivery.ReleaseKey(t.Context(), b, keyed.Address, keyed.Address, "a"); err != nil {
				t.Fatalf("ReleaseKey = %v", err)
			}
		}
		synctest.Wait() // it is read
		sendKey(t, b, "a", "a3")
		w.want(t, "released", "a3")
		wantLetters(t, b, "released", "a1", "a2<a1")
		redriveAll(t, b, "a2")
		w.want(t, "released, and one redriven", "a3", "a2")
	})
}

func TestADeadLetterThatIsNotWantedAnyMoreReleasesItsKey(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		w := newWard("a1")
		var picky atomic.Bool
		s := w.subscription()
		s.Wants = func(e *transport.Envelope) (bool, error) { return !picky.Load() || e.ID != "a1", nil }
		c := start(t, b, rec, s)
		sendKey(t, b, "a", "a1")
		late := withKey(to(keyed, "late"), "a")
		late.Lifetime = time.Second
		c.Pause("until it is too late")
		send(t, b, late)
		time.Sleep(2 * time.Second)
		c.Resume()
		time.Sleep(time.Second)
		wantLetters(t, b, "stopped; what has expired is not behind", "a1")
		picky.Store(true)
		redriveAll(t, b)
		sendKey(t, b, "a", "a2")
		w.want(t, "the head was filtered", "a2")
	})
}

func TestAMessageThatDiesBetweenItsRecordAndItsDeadLetterIsTheHeadOfItsKey(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		w := newWard("a1")
		first := fabric.Process("first")
		b := &forgetful{Broker: first.Broker(), loses: delivery.DeadLetters().Address}
		start(t, b, rec, w.subscription())
		outside := fabric.Process("outside").Broker()
		sendKey(t, outside, "a", "a1", "a2")
		first.Kill()
		w.heal("a1")
		start(t, fabric.Process("second").Broker(), rec, w.subscription())
		time.Sleep(time.Second)
		w.want(t, "after the crash", "a1", "a2")
		wantLetters(t, outside, "after the crash")
	})
}

// forgetful sends nothing to one address, and says so.
type forgetful struct {
	transport.Broker
	loses string
}

func (f *forgetful) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	if batch[0].Address == f.loses {
		return []transport.Receipt{{Err: fmt.Errorf("%w: on purpose", transport.ErrNotSent)}}
	}
	return f.Broker.Send(ctx, batch)
}

func TestStopKeyWantsAKeyAndARecordItCanRead(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		_, err := delivery.New(b, rec, delivery.Subscription{Channel: queue, StopKey: true, Handle: newWard().subscription().Handle})
		if err == nil || !strings.Contains(err.Error(), "StopKey") {
			t.Errorf("New of a queue without partitions = %v; want an error about StopKey", err)
		}
		w := newWard()
		c := start(t, b, rec, w.subscription())
		newer := to(delivery.StoppedKeys(), "newer")
		newer.Body = []byte(`{"version":2,"kind":"eclipse"}`)
		send(t, b, newer)
		<-c.ended
		if c.err == nil || !strings.Contains(c.err.Error(), "newer parley") {
			t.Errorf("Run = %v; want that a newer program wrote a record that this one can't read", c.err)
		}
		c.err = nil
	})
}
