package operation

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

const (
	firstPause = 20 * time.Millisecond // after a failed commit; doubled up to
	lastPause  = time.Second
	batchSize  = 1024    // changes of a batch at the most
	batchBytes = 4 << 20 // of bodies in a batch, but one write is never divided
)

var errStopped = errors.New("the process stopped before the journal could be written")

// writer writes everything to the journal, in batches: while one is in flight, the next one gathers. Changes keep their
// order. A commit that fails is repeated until it works, the lease is lost or the process stops. Safe for concurrent use.
type writer struct {
	changed func(op string, done bool) // called for each operation that a batch has changed
	log     *slog.Logger

	mu      sync.Mutex
	queue   []write
	closed  error // why nothing more is taken
	bell    chan struct{}
	trouble error // of the commit that is being repeated
	since   time.Time
}

// write is what one flush of one operation writes, all in one batch.
type write struct {
	changes []Change
	then    func([]Outcome, error) // called once; must not block
}

func newWriter(changed func(string, bool), log *slog.Logger) *writer {
	return &writer{changed: changed, log: log, bell: make(chan struct{}, 1)}
}

// submit has changes written. It never blocks.
func (w *writer) submit(changes []Change, then func([]Outcome, error)) {
	w.mu.Lock()
	err := w.closed
	if err == nil {
		w.queue = append(w.queue, write{changes, then})
	}
	w.mu.Unlock()
	if err != nil {
		then(nil, err)
		return
	}
	w.ring()
}

// close has run end when everything is written. Nothing is taken any more.
func (w *writer) close() {
	w.mu.Lock()
	if w.closed == nil {
		w.closed = errStopped
	}
	w.mu.Unlock()
	w.ring()
}

// outage is the error of the commit that is being repeated, and since when; nil = all is well.
func (w *writer) outage() (since time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.since, w.trouble
}

// run writes until close, or until the lease is lost, which closes lost. When ctx is done it gives up what is left.
func (w *writer) run(ctx context.Context, s session, lost chan<- struct{}) {
	for {
		batch, end := w.gather()
		if len(batch) == 0 {
			if end {
				return
			}
			<-w.bell
			runtime.Gosched() // who is about to add to this batch may do so
			continue
		}
		var changes []Change
		for _, b := range batch {
			changes = append(changes, b.changes...)
		}
		var outcomes []Outcome
		var err error
		if len(changes) > 0 { // who writes nothing only asks whether all before is durable
			outcomes, err = w.commit(ctx, s, changes)
		}
		if errors.Is(err, ErrFenced) {
			close(lost)
		}
		if err != nil {
			w.abandon(batch, err)
			return
		}
		for _, b := range batch {
			n := len(b.changes)
			b.then(outcomes[:n], nil)
			outcomes = outcomes[n:]
		}
		w.tell(changes)
	}
}

// gather takes what is in the queue, as far as it fits into one batch. end = nothing will come.
func (w *writer) gather() (batch []write, end bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, count, size := 0, 0, 0
	for n < len(w.queue) && count < batchSize && size < batchBytes {
		count += len(w.queue[n].changes)
		for i := range w.queue[n].changes {
			size += weight(&w.queue[n].changes[i])
		}
		n++
	}
	batch = w.queue[:n:n]
	w.queue = w.queue[n:]
	return batch, w.closed != nil
}

func weight(c *Change) int {
	switch {
	case c.Accept != nil:
		return len(c.Accept.Input)
	case c.Update != nil:
		return len(c.Update.Output)
	case c.Entry != nil:
		return len(c.Entry.Output)
	case c.Signal != nil:
		return len(c.Signal.Body)
	}
	return 0
}

// commit repeats a batch until it is known what became of it.
func (w *writer) commit(ctx context.Context, s session, changes []Change) ([]Outcome, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		outcomes, err := s.journal.Commit(ctx, s.lease, changes)
		if err == nil || errors.Is(err, ErrFenced) {
			w.report(ctx, nil)
			if pause > firstPause {
				own(changes, outcomes)
			}
			return outcomes, err
		}
		if ctx.Err() != nil {
			return nil, errors.Join(errStopped, err)
		}
		w.report(ctx, err)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, errors.Join(errStopped, err)
		}
	}
}

// own corrects what a repeated batch says of operations that its first try had accepted: they are new.
func own(changes []Change, outcomes []Outcome) {
	for i := range outcomes {
		a, x := changes[i].Accept, outcomes[i].Existing
		if a != nil && x != nil && x.Created.Equal(a.Created) && x.Address == a.Address && x.Source == a.Source {
			outcomes[i].Existing = nil
		}
	}
}

// report logs the begin and the end of an outage.
func (w *writer) report(ctx context.Context, err error) {
	w.mu.Lock()
	before, since := w.trouble, w.since
	w.trouble = err
	if before == nil {
		w.since = clock()
	}
	w.mu.Unlock()
	switch {
	case err != nil && before == nil:
		w.log.ErrorContext(ctx, "the journal of operations can't be written; it is tried until it can", "error", err)
	case err == nil && before != nil:
		w.log.InfoContext(ctx, "the journal of operations can be written again", "after", clock().Sub(since))
	}
}

// abandon answers what can't be written any more.
func (w *writer) abandon(batch []write, err error) {
	w.mu.Lock()
	w.closed = err
	batch = append(batch, w.queue...)
	w.queue = nil
	w.mu.Unlock()
	for _, b := range batch {
		b.then(nil, err)
	}
}

// tell says which operations have changed.
func (w *writer) tell(changes []Change) {
	for i := range changes {
		switch c := &changes[i]; {
		case c.Update != nil:
			w.changed(c.Op, c.Update.Status.Done())
		case c.Accept != nil:
			w.changed(c.Op, c.Accept.Status.Done())
		case c.Op != "":
			w.changed(c.Op, false)
		}
	}
}

func (w *writer) ring() {
	select {
	case w.bell <- struct{}{}:
	default:
	}
}
