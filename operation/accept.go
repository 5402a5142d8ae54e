package operation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// stubborn is how long callers wait for a journal that can't be written.
const stubborn = 2 * time.Second

// Accept stores an operation, durably, and begins to run it. One that exists already with the same address and input is
// answered as it is, with existed; with another input or address the error is KeyReused. Unavailable with NotSent:
// not running, draining, or the journal can't be written now (what it says is in the message). Unavailable without it:
// whether it was stored is not known; accepting the same again is safe. Unimplemented: no code of that address.
func (e *Engine) Accept(ctx context.Context, r Request) (s Snapshot, existed bool, err error) {
	rec, err := e.accepted(r, clock())
	if err != nil {
		return Snapshot{}, false, err
	}
	w, err := e.ready()
	if err != nil {
		return Snapshot{}, false, err
	}
	what := fmt.Sprintf("accepting operation %s of %s", r.ID, r.Address)
	l := e.expect(rec)
	reply := make(chan answer[Outcome], 1)
	w.submit([]Change{{Op: rec.ID, Accept: rec}}, func(outcomes []Outcome, err error) {
		var o Outcome
		if err == nil {
			o = outcomes[0]
			e.stored(rec, l, o.Existing != nil)
		} else if l != nil {
			e.start(l, nil) // if it was stored, it is run
		}
		reply <- answer[Outcome]{o, err}
	})
	o, err := await(ctx, w, what, reply)
	switch {
	case err != nil:
		return Snapshot{}, false, err
	case o.Existing == nil:
		return Snapshot{Stored: Stored{Record: *rec}}, false, nil
	case o.Existing.Address != r.Address || !bytes.Equal(o.Existing.Input, r.Input):
		return Snapshot{}, true, &transport.Error{Code: transport.AlreadyExists, Name: KeyReused,
			Message: fmt.Sprintf("%s: the ID belongs to an operation of %s with another request; use a new ID", what, o.Existing.Address)}
	}
	s, err = e.Get(ctx, r.Address, r.ID)
	return s, true, err
}

// Signal tells an operation something. Telling the same ID again is fine. NotFound: no such operation;
// FailedPrecondition: it is Done already; InvalidArgument: the operation's address is another.
func (e *Engine) Signal(ctx context.Context, address, id string, g Signal) (Snapshot, error) {
	what := fmt.Sprintf("signal %s of operation %s", g.Name, id)
	if g.ID == "" || g.Name == "" {
		return Snapshot{}, &transport.Error{Code: transport.InvalidArgument, Message: what + ": want an ID and a name"}
	}
	return e.change(ctx, id, what, func(m *machine, now time.Time) error {
		if m.rec.Address != address {
			return &transport.Error{Code: transport.InvalidArgument, Message: fmt.Sprintf("%s: it is one of %s, not of %s", what, m.rec.Address, address)}
		}
		if m.rec.Status.Done() {
			if m.has(g) {
				return nil
			}
			return &transport.Error{Code: transport.FailedPrecondition, Message: fmt.Sprintf("%s: it has %s already", what, m.rec.Status)}
		}
		if g.At.IsZero() {
			g.At = now
		}
		g.At = g.At.UTC().Round(0)
		m.tell(now, g)
		return nil
	})
}

// Cancel asks for an operation to be canceled. It answers once the wish is durable; one that is Done, Canceling or
// Compensating stays as it is, without an error. NotFound: no such operation of that address.
func (e *Engine) Cancel(ctx context.Context, address, id, reason string) (Snapshot, error) {
	what := "canceling operation " + id
	return e.change(ctx, id, what, func(m *machine, _ time.Time) error {
		if m.rec.Address != address {
			return unknown(what, address)
		}
		m.wish(reason)
		return nil
	})
}

// Retry sets a Parked operation going again. FailedPrecondition if it is not Parked. NotFound: no such operation of that
// address.
func (e *Engine) Retry(ctx context.Context, address, id string) (Snapshot, error) {
	what := "retrying operation " + id
	return e.change(ctx, id, what, func(m *machine, _ time.Time) error {
		if m.rec.Address != address {
			return unknown(what, address)
		}
		if m.rec.Status != Parked {
			return &transport.Error{Code: transport.FailedPrecondition, Message: fmt.Sprintf("%s: it is %s, not %s", what, m.rec.Status, Parked)}
		}
		m.retry()
		return nil
	})
}

// accepted is the record of a request.
func (e *Engine) accepted(r Request, now time.Time) (*Record, error) {
	if r.ID == "" {
		return nil, &transport.Error{Code: transport.InvalidArgument, NotSent: true, Message: "an operation without an ID can't be accepted"}
	}
	version := 0
	for v := range e.codes[r.Address] {
		version = max(version, v)
	}
	if version == 0 {
		return nil, &transport.Error{Code: transport.Unimplemented, NotSent: true, Message: "no operation has the address " + r.Address}
	}
	rec := &Record{
		ID: r.ID, Address: r.Address, Version: version, Status: NotStarted, Input: r.Input,
		Source: r.Source, Key: r.Key, Correlation: r.Correlation, Causation: r.Causation, Trace: r.Trace,
		Created: now, Updated: now, Revision: 1,
	}
	if d := e.codes[r.Address][version].Timeout; d > 0 {
		rec.Deadline = now.Add(d)
	}
	if r.Invalid != nil {
		rec.Status, rec.Error, rec.Finished = Failed, kept(r.Invalid), now
	}
	return rec, nil
}

// expect makes an operation live before it is stored, if there is room and it has something to do. Otherwise it waits in
// the journal.
func (e *Engine) expect(rec *Record) *live {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != running || e.lives[rec.ID] != nil || rec.Status.Done() {
		return nil
	}
	if e.free == 0 {
		return nil
	}
	rec.Status = Running
	l := e.add(rec.ID)
	l.slot = true
	e.free--
	return l
}

// stored goes on with what is durable now.
func (e *Engine) stored(rec *Record, l *live, existed bool) {
	if existed {
		if l != nil {
			e.start(l, nil)
		}
		return
	}
	t := ofOperation(ledger.Accepted, rec, "")
	t.At, t.Expected = rec.Created, []string{rec.Address}
	e.record(t)
	if rec.Status.Done() {
		t := ofOperation(ledger.Ended, rec, rec.Error.Error())
		t.At, t.Attempt = rec.Finished, 1
		e.record(t)
		return
	}
	if l != nil {
		l.born = true
		e.start(l, &Stored{Record: *rec})
		return
	}
	e.soon(true)
}

// change has the owner of an operation change it, and answers it when that is durable.
func (e *Engine) change(ctx context.Context, id, what string, do func(*machine, time.Time) error) (Snapshot, error) {
	w, err := e.ready()
	if err != nil {
		return Snapshot{}, err
	}
	reply := make(chan answer[Snapshot], 1)
	ok := e.visit(id, func(l *live, now time.Time) {
		switch {
		case l.stopping:
			reply <- answer[Snapshot]{err: refusal("%s: the process stops, ask again soon", what)}
			return
		case l.m == nil:
			reply <- answer[Snapshot]{err: &transport.Error{Code: transport.NotFound, Message: what + ": no such operation"}}
			return
		}
		if err := do(l.m, now); err != nil {
			reply <- answer[Snapshot]{err: err}
			return
		}
		l.confirm(now, func(err error) { reply <- answer[Snapshot]{err: err} })
	})
	if !ok {
		_, err := e.session()
		return Snapshot{}, errors.Join(err)
	}
	if _, err := await(ctx, w, what, reply); err != nil {
		return Snapshot{}, err
	}
	return e.get(ctx, id, what)
}

// ready is the writer, unless it is known that nothing can be written.
func (e *Engine) ready() (*writer, error) {
	if _, err := e.session(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	w := e.writer
	e.mu.Unlock()
	if _, err := w.outage(); err != nil {
		return nil, &transport.Error{Code: transport.Unavailable, NotSent: true, Message: "the journal of operations can't be written", Cause: err}
	}
	return w, nil
}

type answer[T any] struct {
	value T
	err   error
}

// await waits for what the writer answers, for as long as ctx and the journal allow.
func await[T any](ctx context.Context, w *writer, what string, reply <-chan answer[T]) (T, error) {
	var none T
	tick := time.NewTicker(stubborn)
	defer tick.Stop()
	for {
		select {
		case a := <-reply:
			if _, ok := errors.AsType[*transport.Error](a.err); a.err == nil || ok {
				return a.value, a.err
			}
			return none, &transport.Error{Code: transport.Unavailable, Message: what + ": whether it was stored is not known", Cause: a.err}
		case <-ctx.Done():
			return none, gaveUp(ctx, w, what)
		case <-tick.C:
			if _, err := w.outage(); err != nil {
				return none, gaveUp(ctx, w, what)
			}
		}
	}
}

// gaveUp is the error of a caller who waits no longer.
func gaveUp(ctx context.Context, w *writer, what string) error {
	_, err := w.outage()
	if err == nil {
		err = context.Cause(ctx)
	}
	return &transport.Error{Code: transport.Unavailable, Cause: err,
		Message: what + ": not confirmed yet, the outcome is not known; asking for the same again is safe"}
}

func unknown(what, address string) error {
	return &transport.Error{Code: transport.NotFound, Message: fmt.Sprintf("%s: no such operation of %s", what, address)}
}
