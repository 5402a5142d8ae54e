package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// The limits of a Writer.
const (
	BatchTransitions   = 512                  // a batch is closed when it has as many
	BatchWait          = 5 * time.Millisecond // or when its first transition is as old
	WriteWithin        = time.Second          // a transition that is not stored by then is dropped
	WaitingTransitions = 64 << 10             // not yet given to the broker; beyond it, new ones are dropped
	MaxReasonBytes     = 1 << 10              // of Transition.Reason; longer ones are clipped

	batchesInFlight = 8
	probeEvery      = 250 * time.Millisecond
)

// Writer is the Recorder that sends what a process reports over [Stream]. Its batches are in flight together and may
// be stored out of order; their numbers order them. When the ledger cannot be written for a second the Writer drops
// what it has and what comes, counting it, until an empty batch gets through again; the numbers that it used up, or
// one that it leaves out, show the gap. Safe for concurrent use.
type Writer struct {
	broker  transport.Broker
	process string
	maxBody int

	stop context.CancelFunc // gives up what is still being written
	done chan struct{}      // closed when nothing of the Writer runs any more
	wake chan struct{}      // capacity 1: there is something to send, or the Writer is closing

	mu       sync.Mutex
	waiting  []*chunk // oldest first; only the last one takes more
	count    int      // transitions in waiting
	down     bool     // the ledger cannot be written
	closing  bool
	skip     bool   // the next batch leaves a number out, because transitions were dropped outside any batch
	number   uint64 // of the last batch
	recorded uint64
	dropped  uint64
}

// chunk is a batch in the making.
type chunk struct {
	body      []byte // transitions as JSON, joined by commas
	n         int
	confirmed []func()
	began     time.Time
	full      bool
}

// NewWriter starts a Writer on b and declares the ledger's stream there. process names the process for people; a
// random part makes it unique, so that a process that is started anew counts its batches from 1 again. Close it.
func NewWriter(b transport.Broker, process string) *Writer {
	ctx, stop := context.WithCancel(context.Background())
	maxBody := transport.DefaultMaxBody
	if n := b.Features().MaxBytes; n > 0 {
		maxBody = min(maxBody, n)
	}
	w := &Writer{
		broker:  b,
		process: visible(process) + "~" + strings.ToLower(rand.Text()[:10]),
		maxBody: maxBody - 512, // a batch's head and the envelope's headers
		stop:    stop,
		done:    make(chan struct{}),
		wake:    make(chan struct{}, 1),
	}
	go w.run(ctx)
	return w
}

// Process is the name under which the ledger knows this Writer.
func (w *Writer) Process() string { return w.process }

// Stats counts the transitions given to Record so far, and those of them that were dropped.
func (w *Writer) Stats() (recorded, dropped uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.recorded, w.dropped
}

// Record implements [Recorder]. It never waits.
func (w *Writer) Record(t Transition, confirmed func()) {
	now := time.Now()
	if t.At.IsZero() {
		t.At = now
	}
	t.Reason = clip(t.Reason, MaxReasonBytes)
	var room [512]byte // most need no more
	body, err := appendWithin(room[:0], &t, w.maxBody)
	if !w.put(body, now, err == nil, confirmed) && confirmed != nil {
		confirmed()
	}
}

// Close sends what is waiting, then a last batch that says that the process has ended orderly. When ctx ends first
// the rest is dropped, and the error says how much. Closing twice is fine.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	before := w.dropped
	w.closing = true
	w.mu.Unlock()
	w.ring()
	select {
	case <-w.done:
	case <-ctx.Done():
		w.stop()
		<-w.done
	}
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	if lost := w.dropped - before; lost > 0 {
		return fmt.Errorf("ledger: close: %d transitions could not be written and are dropped", lost)
	}
	return nil
}

// put adds one encoded transition to what waits, and reports whether it did.
func (w *Writer) put(body []byte, now time.Time, fits bool, confirmed func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded++
	if !fits || w.closing || w.down || w.count >= WaitingTransitions {
		w.dropped++
		w.skip = true
		return false
	}
	c := w.open(len(body))
	if c == nil {
		c = &chunk{began: now}
		w.waiting = append(w.waiting, c)
		w.ring()
	} else {
		c.body = append(c.body, ',')
	}
	c.body = append(c.body, body...)
	c.n++
	w.count++
	if confirmed != nil {
		c.confirmed = append(c.confirmed, confirmed)
	}
	if c.n == BatchTransitions {
		c.full = true
		w.ring()
	}
	return true
}

// open is the last chunk if it can take n bytes more; else that chunk is full.
func (w *Writer) open(n int) *chunk {
	if len(w.waiting) == 0 {
		return nil
	}
	c := w.waiting[len(w.waiting)-1]
	if !c.full && len(c.body)+n+1 > w.maxBody {
		c.full = true
		w.ring()
	}
	if c.full {
		return nil
	}
	return c
}

func (w *Writer) ring() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run is the Writer's own goroutine; it owns those that send.
func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	var sending sync.WaitGroup
	slots := make(chan struct{}, batchesInFlight)
	if err := w.declare(ctx); err != nil {
		w.fail()
	}
	for {
		c, wait := w.next()
		switch {
		case c != nil:
			slots <- struct{}{} // each holder leaves within WriteWithin
			head := w.head(false)
			sending.Go(func() {
				defer func() { <-slots }()
				w.write(ctx, head, c)
			})
		case w.isDown() && !w.isClosing():
			w.probe(ctx)
		case wait < 0:
			sending.Wait()
			if w.idle() { // what was in flight can have failed
				w.farewell(ctx)
				return
			}
		default:
			w.sleep(wait)
		}
	}
}

// next takes the oldest chunk if it is due. Else it says how long to wait at the most: 0 = until the next ring,
// negative = nothing is waiting and nothing will.
func (w *Writer) next() (c *chunk, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		if w.closing {
			return nil, -1
		}
		return nil, 0
	}
	c = w.waiting[0]
	if wait := BatchWait - time.Since(c.began); !c.full && !w.closing && wait > 0 {
		return nil, wait
	}
	c.full = true
	w.waiting[0] = nil
	w.waiting = w.waiting[1:]
	w.count -= c.n
	return c, 0
}

func (w *Writer) sleep(wait time.Duration) {
	if wait == 0 {
		<-w.wake
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-timer.C:
	}
}

// head numbers the next batch.
func (w *Writer) head(last bool) batchHead {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.skip {
		w.number++
		w.skip = false
	}
	w.number++
	return batchHead{Version: Format, Process: w.process, Number: w.number, At: time.Now(), Dropped: w.dropped, Last: last}
}

// write sends a chunk as the batch of head, or drops it.
func (w *Writer) write(ctx context.Context, head batchHead, c *chunk) {
	ctx, cancel := context.WithDeadline(ctx, c.began.Add(WriteWithin))
	defer cancel()
	if err := w.send(ctx, head, c.body); err != nil {
		w.mu.Lock()
		w.dropped += uint64(c.n)
		w.mu.Unlock()
		w.fail()
	}
	for _, f := range c.confirmed {
		f()
	}
}

// send repeats until the batch is stored, is refused, or ctx is done.
func (w *Writer) send(ctx context.Context, head batchHead, transitions []byte) error {
	body, err := appendBatch(make([]byte, 0, len(transitions)+256), head, transitions)
	if err != nil {
		return err
	}
	e := &transport.Envelope{
		ID: fmt.Sprintf("%s.%d", head.Process, head.Number), Source: head.Process, Address: Stream().Address,
		ContentType: "application/json", Time: head.At, Body: body,
	}
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, probeEvery) {
		if err = ctx.Err(); err != nil {
			return err
		}
		err = w.broker.Send(ctx, []*transport.Envelope{e})[0].Err
		if err == nil || errors.Is(err, transport.ErrRefused) || errors.Is(err, transport.ErrClosed) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// fail gives up everything that waits, and what comes until a probe succeeds.
func (w *Writer) fail() {
	w.mu.Lock()
	lost := w.waiting
	w.waiting, w.count, w.down, w.skip = nil, 0, true, true
	for _, c := range lost {
		c.full = true
		w.dropped += uint64(c.n)
	}
	w.mu.Unlock()
	w.ring()
	for _, c := range lost {
		for _, f := range c.confirmed {
			f()
		}
	}
}

// probe tries once to store an empty batch, which also tells readers about the gap.
func (w *Writer) probe(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, WriteWithin)
	defer cancel()
	err := w.declare(within)
	if err == nil {
		err = w.send(within, w.head(false), nil)
	}
	if err != nil {
		w.sleep(probeEvery)
		return
	}
	w.mu.Lock()
	w.down = false
	w.mu.Unlock()
}

// farewell sends the last batch of a process that has sent any.
func (w *Writer) farewell(ctx context.Context) {
	if w.unnumbered() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, WriteWithin)
	defer cancel()
	// When it fails nobody is left to tell: the trails of this process then miss its end.
	_ = w.send(ctx, w.head(true), nil)
}

func (w *Writer) declare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, WriteWithin)
	defer cancel()
	return w.broker.Declare(ctx, []transport.Channel{Stream()})
}

func (w *Writer) isDown() bool     { w.mu.Lock(); defer w.mu.Unlock(); return w.down }
func (w *Writer) isClosing() bool  { w.mu.Lock(); defer w.mu.Unlock(); return w.closing }
func (w *Writer) idle() bool       { w.mu.Lock(); defer w.mu.Unlock(); return len(w.waiting) == 0 }
func (w *Writer) unnumbered() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.number == 0 && !w.skip }
