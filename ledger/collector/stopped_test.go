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

var book = transport.Channel{Address: "bank.v1.book", Pattern: transport.Queue, Partitions: 2}

// bank handles bookings in order, but for those that are stuck.
type bank struct {
	mu    sync.Mutex
	stuck map[string]bool
	got   []string
}

func (b *bank) handle(_ context.Context, e *transport.Envelope) error {
	time.Sleep(100 * time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stuck[e.ID] {
		return delivery.Permanent(errDown)
	}
	b.got = append(b.got, e.ID)
	return nil
}

func (b *bank) mend(ids ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		delete(b.stuck, id)
	}
}

// of is what was handled of one key.
func (b *bank) of(key string) (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.got), func(id string) bool { return !strings.HasPrefix(id, key) })
}

// open is a bank that serves, with keys stopped.
func (w *world) open(stuck ...string) *bank {
	w.t.Helper()
	b := &bank{stuck: make(map[string]bool)}
	for _, id := range stuck {
		b.stuck[id] = true
	}
	w.run("bank", delivery.Subscription{Channel: book, Service: "bank", Style: ledger.StyleCommand, StopKey: true, Handle: b.handle})
	return b
}

func (w *world) book(key string, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		e := &transport.Envelope{ID: id, Address: book.Address, Key: key, Time: time.Now(), Body: []byte("{}")}
		if r := w.shop.Broker().Send(w.ctx, []*transport.Envelope{e}); r[0].Err != nil {
			w.t.Fatal(r[0].Err)
		}
	}
	time.Sleep(2 * time.Second)
}

func TestARedriveOfACauseBringsBackWhatStandsBehindItInOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.declare(w.shop.Broker(), book)
		b := w.open("a2", "b1")
		w.book("a", "a1", "a2", "a3", "a4")
		w.book("b", "b1", "b2")
		f := w.failed(FailedRequest{})
		i := slices.IndexFunc(f.Causes, func(c Cause) bool { return c.Reason != behindAnother })
		if f.Open != 5 || len(f.Causes) != 2 || i < 0 || f.Causes[i].Open != 2 {
			t.Fatalf("got %+v; want 2 of one cause and 3 behind them", f)
		}
		request := RedriveRequest{Cause: CauseName(f.Causes[i].Key), By: "anna", DryRun: true}
		if dry := w.redrive(request); dry.Scope != 5 {
			t.Errorf("dry run: got %+v; want the 2 and the 3 behind them in the scope", dry)
		}
		b.mend("a2", "b1")
		request.DryRun = false
		job := w.redrive(request)
		w.parts.Go(func() { // meanwhile
			for i := range 20 {
				w.shop.Broker().Send(w.ctx, []*transport.Envelope{{ID: "a5" + string(rune('a'+i)), Address: book.Address, Key: "a", Time: time.Now(), Body: []byte("{}")}})
				time.Sleep(20 * time.Millisecond)
			}
		})
		done, err := FollowRedrive(w.ctx, w.shop.Caller(), w.peer, job.ID, time.Minute)
		if err != nil || done.State != JobDone || done.Handled != done.Scope || done.FailedAgain != 0 || len(done.Errors) != 0 {
			t.Errorf("got %+v, %v; want all handled", done, err)
		}
		time.Sleep(time.Minute)
		w.book("a", "a6")
		got := b.of("a")
		if !slices.IsSorted(got) || len(got) != 25 || done.Scope <= 5 {
			t.Errorf("handled in the order %v, with a scope of %d; want all 25 in order, some of them taken along", got, done.Scope)
		}
		if got := b.of("b"); !slices.Equal(got, []string{"b1", "b2"}) {
			t.Errorf("the other key: handled %v; want b1, b2", got)
		}
		if f := w.failed(FailedRequest{}); f.Open != 0 {
			t.Errorf("after the job: got %+v; want nothing open", f)
		}
	})
}

func TestARedriveOfAMessageThatIsBehindBeginsWithItsHeadAndEndsWhereItFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.declare(w.shop.Broker(), book)
		b := w.open("a1", "a3")
		w.book("a", "a1", "a2", "a3", "a4")
		b.mend("a1")
		for n := 1; n <= 2; n++ {
			job := w.redrive(RedriveRequest{IDs: []string{"a4"}})
			done, err := FollowRedrive(w.ctx, w.shop.Caller(), w.peer, job.ID, time.Minute)
			if err != nil || done.State != JobDone || done.Scope != 6-2*n || done.FailedAgain != 2 {
				t.Errorf("redrive %d: got %+v, %v; want a3 and a4 to fail again, tried once more each", n, done, err)
			}
			if got := b.of("a"); !slices.Equal(got, []string{"a1", "a2"}) {
				t.Errorf("redrive %d: handled %v; want a1, a2", n, got)
			}
		}
		b.mend("a3")
		job := w.redrive(RedriveRequest{IDs: []string{"a4"}})
		if done, err := FollowRedrive(w.ctx, w.shop.Caller(), w.peer, job.ID, time.Minute); err != nil || done.State != JobDone || done.Handled != 2 {
			t.Errorf("at last: got %+v, %v; want 2 handled", done, err)
		}
		w.book("a", "a5")
		if got := b.of("a"); !slices.Equal(got, []string{"a1", "a2", "a3", "a4", "a5"}) {
			t.Errorf("handled %v; want all in order", got)
		}
	})
}

func TestLettersComeBackInTurnsWhereTheStreamHasThemInAnotherOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.declare(w.shop.Broker(), book)
		b := w.open("a1")
		w.book("a", "a1", "a2", "a3")
		shown, err := ShowFailed(w.ctx, w.shop.Caller(), w.peer, "a2")
		if err != nil || len(shown.Letters) != 1 || shown.Letters[0].Dead.Behind != "a1" {
			t.Fatalf("show a2: got %+v, %v; want a letter behind a1", shown, err)
		}
		if err := delivery.Redrive(w.ctx, w.shop.Broker(), ledger.Discard, &shown.Letters[0].Dead, "by hand"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // it is behind a1 again, and in the stream behind a3
		b.mend("a1")
		job := w.redrive(RedriveRequest{IDs: []string{"a1"}})
		if done, err := FollowRedrive(w.ctx, w.shop.Caller(), w.peer, job.ID, time.Minute); err != nil || done.State != JobDone {
			t.Errorf("got %+v, %v; want it done", done, err)
		}
		time.Sleep(time.Minute)
		if got := b.of("a"); !slices.Equal(got, []string{"a1", "a2", "a3"}) {
			t.Errorf("handled %v; want all in order", got)
		}
		if f := w.failed(FailedRequest{}); f.Open != 0 {
			t.Errorf("after the job: %s open; want none", strconv.Itoa(f.Open))
		}
	})
}
