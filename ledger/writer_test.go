package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
)

// script is a Broker of which only Declare and Send are used. It keeps what is sent while fail is nil.
type script struct {
	transport.Broker
	maxBytes int
	latency  time.Duration

	mu    sync.Mutex
	fail  error // of Send; errHang = no answer until ctx ends
	kept  []Batch
	sizes []int
	sends int
}

var errHang = errors.New("hangs")

func (s *script) Features() transport.Features { return transport.Features{MaxBytes: s.maxBytes} }

func (s *script) Declare(_ context.Context, channels []transport.Channel) error {
	if len(channels) != 1 || channels[0] != Stream() {
		return fmt.Errorf("declared %v, want the ledger's stream", channels)
	}
	return nil
}

func (s *script) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	s.mu.Lock()
	s.sends++
	fail := s.fail
	s.mu.Unlock()
	if fail == errHang {
		<-ctx.Done()
		return []transport.Receipt{{Err: ctx.Err()}}
	}
	if fail == nil {
		time.Sleep(s.latency)
		b, err := ParseBatch(batch[0].Body)
		if fail = errors.Join(err, batch[0].Validate()); fail == nil {
			s.mu.Lock()
			s.kept = append(s.kept, b)
			s.sizes = append(s.sizes, batch[0].Size())
			s.mu.Unlock()
		}
	}
	return []transport.Receipt{{Err: fail}}
}

func (s *script) set(fail error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// batches are those that are kept, by number.
func (s *script) batches() []Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := slices.Clone(s.kept)
	slices.SortFunc(kept, func(a, b Batch) int { return int(a.Number) - int(b.Number) })
	return kept
}

func numbers(batches []Batch) (n []uint64) {
	for _, b := range batches {
		n = append(n, b.Number)
	}
	return n
}

func note(id string) Transition { return Transition{Kind: Accepted, ID: id, Style: StyleCommand} }

func TestABatchIsSentAfterFiveMillisecondsOr512Transitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		w := NewWriter(s, "p")
		var confirmed atomic.Int32
		w.Record(note("a"), func() { confirmed.Add(1) })
		time.Sleep(BatchWait - 1)
		synctest.Wait()
		if len(s.batches()) != 0 || confirmed.Load() != 0 {
			t.Fatalf("before 5 ms: got %d batches, %d confirmed; want none", len(s.batches()), confirmed.Load())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := s.batches(); len(got) != 1 || confirmed.Load() != 1 || got[0].Transitions[0].At.IsZero() {
			t.Fatalf("after 5 ms: got %+v, %d confirmed; want one batch with a time, 1", got, confirmed.Load())
		}
		for range BatchTransitions + 1 {
			w.Record(note("b"), nil)
		}
		synctest.Wait()
		if got := s.batches(); len(got) != 2 || len(got[1].Transitions) != BatchTransitions {
			t.Fatalf("after 513 at once: got %d batches; want the full one sent at once", len(got))
		}
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := s.batches()
		if !slices.Equal(numbers(got), []uint64{1, 2, 3, 4}) || !got[3].Last || got[2].Last {
			t.Fatalf("after Close: got numbers %v, last %v; want 1 to 4 of which only 4 is the last", numbers(got), got[len(got)-1].Last)
		}
		if !strings.HasPrefix(w.Process(), "p~") || got[3].Process != w.Process() {
			t.Fatalf("process: got %q in the batch, %q from the Writer; want the same, beginning with p~", got[3].Process, w.Process())
		}
		if err := w.Close(t.Context()); err != nil {
			t.Fatalf("second Close: %v", err)
		}
		called := false
		w.Record(note("late"), func() { called = true })
		if r, d := w.Stats(); r != BatchTransitions+3 || d != 1 || !called {
			t.Fatalf("after Close: got recorded %d, dropped %d, called %v; want %d, 1, true", r, d, called, BatchTransitions+3)
		}
	})
}

func TestALedgerThatHangsDropsAfterASecondAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		w := NewWriter(s, "p")
		w.Record(note("a"), nil)
		time.Sleep(10 * time.Millisecond)
		s.set(errHang)
		var confirmed atomic.Int32
		began := time.Now()
		var took time.Duration
		w.Record(note("b"), func() { took = time.Since(began); confirmed.Add(1) })
		time.Sleep(WriteWithin + time.Millisecond)
		synctest.Wait()
		if confirmed.Load() != 1 || took != WriteWithin {
			t.Fatalf("confirmed %d times after %v; want once, after %v", confirmed.Load(), took, WriteWithin)
		}
		w.Record(note("c"), func() { confirmed.Add(1) })
		if confirmed.Load() != 2 {
			t.Fatal("Record while the ledger is down did not drop at once")
		}
		s.set(nil)
		time.Sleep(2 * WriteWithin)
		synctest.Wait()
		w.Record(note("d"), nil)
		time.Sleep(2 * BatchWait)
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r, d := w.Stats(); r != 4 || d != 2 {
			t.Fatalf("Stats: got %d recorded, %d dropped; want 4, 2", r, d)
		}
		x, ids := NewIndex(0), []string(nil)
		for _, b := range s.batches() {
			x.Add(b)
			for _, tr := range b.Transitions {
				ids = append(ids, tr.ID)
			}
		}
		if !slices.Equal(ids, []string{"a", "d"}) {
			t.Errorf("stored: got %v; want a, d", ids)
		}
		if got := x.Totals(); got.Missing == 0 || got.Dropped != 2 {
			t.Errorf("numbers %v: got %d missing, %d dropped; want a gap, 2", numbers(s.batches()), got.Missing, got.Dropped)
		}
	})
}

func TestAFailedSendIsRepeatedWithTheSameNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{fail: transport.ErrNotSent}
		w := NewWriter(s, "p")
		stored := false
		w.Record(note("a"), func() { stored = true })
		time.Sleep(500 * time.Millisecond)
		s.set(nil)
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if got := s.batches(); len(got) != 1 || got[0].Number != 1 || !stored {
			t.Fatalf("got %d batches, stored %v; want batch 1, stored at last", len(got), stored)
		}
		if s.sends < 3 {
			t.Fatalf("sent %d times, want several", s.sends)
		}
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, d := w.Stats(); d != 0 {
			t.Fatalf("dropped %d, want 0", d)
		}
	})
}

func TestWhatWaitsIsBoundedAndCountedWhenItOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{latency: 900 * time.Millisecond}
		w := NewWriter(s, "p")
		const n = WaitingTransitions + 10_000
		var confirmed atomic.Int64
		for range n {
			w.Record(note("x"), func() { confirmed.Add(1) })
		}
		if _, d := w.Stats(); d == 0 {
			t.Fatalf("%d at once: dropped none; want what does not fit", n)
		}
		if err := w.Close(t.Context()); err == nil {
			t.Error("Close dropped what it could not write in time, and said nothing")
		}
		r, d := w.Stats()
		stored := 0
		x := NewIndex(0)
		for _, b := range s.batches() {
			stored += len(b.Transitions)
			x.Add(b)
		}
		if r != n || int(d)+stored != n || confirmed.Load() != n {
			t.Errorf("recorded %d, dropped %d, stored %d, confirmed %d; want %d = dropped + stored = confirmed", r, d, stored, confirmed.Load(), n)
		}
		if x.Totals().Missing == 0 {
			t.Errorf("numbers %v show no gap", numbers(s.batches()))
		}
	})
}

func TestWhatIsDroppedBetweenTwoBatchesShowsAsAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{maxBytes: 16 << 10}
		w := NewWriter(s, "p")
		w.Record(note("before"), nil)
		time.Sleep(time.Second)
		w.Record(Transition{Kind: Failed, ID: "too large", Key: strings.Repeat("k", 20<<10)}, nil)
		time.Sleep(time.Second)
		w.Record(note("after"), nil)
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, d := w.Stats(); d != 1 {
			t.Fatalf("dropped %d; want the one that fits into no batch", d)
		}
		x := NewIndex(0)
		for _, b := range s.batches() {
			x.Add(b)
		}
		if x.Totals().Missing == 0 {
			t.Errorf("numbers %v show no gap; want one, as something was dropped between two batches", numbers(s.batches()))
		}
	})
}

func TestBatchesKeepTheBrokersLimitAndLongTextIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{maxBytes: 16 << 10}
		w := NewWriter(s, "p")
		groups := make([]string, 3000)
		for i := range groups {
			groups[i] = fmt.Sprintf("group-%d", i)
		}
		huge := note("huge")
		huge.Expected = groups
		w.Record(huge, nil)
		for range 100 {
			w.Record(Transition{Kind: Failed, ID: "x", Reason: strings.Repeat("é", 4000) + "\xff"}, nil)
		}
		w.Record(Transition{Kind: Failed, ID: "y", Key: strings.Repeat("k", 20<<10)}, nil)
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := slices.Max(s.sizes); m > s.maxBytes {
			t.Errorf("largest message: %d bytes, want at most %d", m, s.maxBytes)
		}
		n := 0
		for _, b := range s.batches() {
			for _, tr := range b.Transitions {
				n++
				if len(tr.Reason) > MaxReasonBytes+len("…") {
					t.Errorf("reason of %d bytes, want it cut at %d", len(tr.Reason), MaxReasonBytes)
				}
				if tr.ID == "huge" && tr.Expected != nil {
					t.Errorf("3,000 expected groups in a message of 16 KiB: got %d of them; want none, as not known", len(tr.Expected))
				}
			}
		}
		if _, d := w.Stats(); n != 101 || d != 1 {
			t.Errorf("stored %d, dropped %d; want 101, and 1 that never fits", n, d)
		}
	})
}

func TestCloseDoesNotOutliveItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{fail: errHang}
		w := NewWriter(s, "p")
		called := false
		w.Record(note("a"), func() { called = true })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := w.Close(ctx)
		if took := time.Since(began); err == nil || took > 150*time.Millisecond || !called {
			t.Fatalf("Close = %v after %v, callback %v; want an error after 100 ms, true", err, took, called)
		}
	})
}

func TestExpectedTellsNobodyFromNotKnown(t *testing.T) {
	t.Parallel()
	for _, expected := range [][]string{nil, {}, {"mail"}} {
		body, err := appendWithin(nil, &Transition{Kind: Accepted, ID: "a", Took: 1500, Expected: expected}, 1<<10)
		if err != nil {
			t.Fatal(err)
		}
		body, err = appendBatch(nil, batchHead{Version: 1, Process: "p", Number: 1}, body)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseBatch(body)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Transitions[0]; (got.Expected == nil) != (expected == nil) || !slices.Equal(got.Expected, expected) || got.Took != 1500 {
			t.Errorf("%s: got expected %#v, took %d; want %#v, 1500", body, got.Expected, got.Took, expected)
		}
	}
}

func TestABatchOfAnotherFormatIsRefused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"v":2,"process":"p","n":1}`:       "format 2",
		`{"v":1,"process":"","n":1}`:        "want a name",
		`{"v":1,"process":"p"}`:             "number from 1",
		`{"v":1,"process":"p","n":1,"n":1}`: "duplicate",
		`no`:                                "ledger batch of 2 bytes",
	} {
		if _, err := ParseBatch([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseBatch(%s) = %v; want an error with %q", body, err, want)
		}
	}
}

func TestAsFillsWhereAndKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	var got []Transition
	rec := As(recorder(func(t Transition) { got = append(got, t) }), "mail", "mail-1")
	rec.Record(note("a"), nil)
	rec.Record(Transition{ID: "b", Service: "other", Instance: "other-1"}, nil)
	if got[0].Service != "mail" || got[0].Instance != "mail-1" || got[1].Service != "other" || got[1].Instance != "other-1" {
		t.Errorf("got %+v; want mail/mail-1, then other/other-1", got)
	}
}

type recorder func(Transition)

func (r recorder) Record(t Transition, _ func()) { r(t) }
