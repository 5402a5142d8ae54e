package journaltest

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// scene is what one promise is tried in. It is used by one goroutine.
type scene struct {
	open   func(context.Context) (operation.Journal, error)
	prefix string // of all ids and addresses of this scene
	j      operation.Journal
	lease  operation.Lease
	found  []error
}

// stop is the panic that ends a try.
type stop struct{}

// errorf adds a finding.
func (s *scene) errorf(format string, args ...any) {
	s.found = append(s.found, fmt.Errorf(format, args...))
}

// fatalf adds a finding and ends the try.
func (s *scene) fatalf(format string, args ...any) {
	s.errorf(format, args...)
	panic(stop{})
}

// equal finds where got is not want.
func (s *scene) equal(what string, got, want any) {
	if d := difference(got, want); d != "" {
		s.errorf("%s: %s", what, d)
	}
}

// start opens and registers.
func (s *scene) start(ctx context.Context) {
	j, err := s.open(ctx)
	if err != nil {
		s.fatalf("opening the journal = %v; want no error", err)
	}
	s.j = j
	s.lease = s.register(ctx, "worker")
}

// restart is the end of a process and the begin of the next.
func (s *scene) restart(ctx context.Context) {
	if err := s.j.Close(); err != nil {
		s.fatalf("Close = %v; want nil", err)
	}
	s.j = nil
	s.start(ctx)
}

func (s *scene) register(ctx context.Context, worker string) operation.Lease {
	l, err := s.j.Register(ctx, worker)
	if err != nil {
		s.fatalf("Register(%s) = %v; want no error", worker, err)
	}
	return l
}

// commit has to succeed.
func (s *scene) commit(ctx context.Context, batch ...operation.Change) []operation.Outcome {
	outcomes, err := s.j.Commit(ctx, s.lease, batch)
	if err != nil || len(outcomes) != len(batch) {
		s.fatalf("Commit of %d changes = %d outcomes, %v; want as many, and no error", len(batch), len(outcomes), err)
	}
	return outcomes
}

// load answers what is there of some ids.
func (s *scene) load(ctx context.Context, ids ...string) []operation.Stored {
	found, err := s.j.Load(ctx, ids...)
	if err != nil {
		s.fatalf("Load(%q) = %v; want no error", ids, err)
	}
	return found
}

// one loads an operation that has to be there.
func (s *scene) one(ctx context.Context, id string) operation.Stored {
	found := s.load(ctx, id)
	if len(found) != 1 {
		s.fatalf("Load(%q) = %d operations; want 1", id, len(found))
	}
	return found[0]
}

// gone finds operations that should not be there.
func (s *scene) gone(ctx context.Context, why string, ids ...string) {
	for _, o := range s.load(ctx, ids...) {
		s.errorf("Load = operation %q; want none: %s", o.ID, why)
	}
}

// list answers the ids of a page of this scene's operations, and its last record.
func (s *scene) list(ctx context.Context, f operation.Filter) (ids []string, last *operation.Record) {
	if f.Address == "" {
		f.Address = s.address()
	}
	page, err := s.j.List(ctx, f)
	if err != nil {
		s.fatalf("List(%+v) = %v; want no error", f, err)
	}
	for i := range page {
		ids = append(ids, page[i].ID)
		last = &page[i]
	}
	return ids, last
}

func (s *scene) address() string { return s.prefix + "loans.v1.decide" }

// record is a new operation with little in it.
func (s *scene) record(name string) *operation.Record {
	return &operation.Record{
		ID: s.prefix + name, Address: s.address(), Version: 1, Status: operation.Running,
		Created: noon, Updated: noon, Revision: 1,
	}
}

// noon is a time with nanoseconds.
var noon = time.Date(2026, 2, 3, 12, 0, 0, 123456789, time.UTC)

// full is an operation with something in each field, as it may be stored while it is open.
func (s *scene) full(name string) *operation.Record {
	return &operation.Record{
		ID: s.prefix + name, Address: s.address(), Version: 3, Status: operation.Compensating,
		Input: []byte(`{"in":1}`), Output: []byte("out"), Error: failure("declined"), Parked: "look at it",
		Source: "source", Key: "key", Correlation: "correlation", Causation: "causation", Trace: "trace",
		Created: noon, Updated: noon.Add(1), Finished: noon.Add(2), Deadline: noon.Add(3), WakeAt: noon.Add(4),
		Cancel: "no longer wanted", Undo: []string{"payout", "", "reserve"}, Revision: 1 << 40,
	}
}

// failure is an error with something in each field that a journal keeps.
func failure(message string) *transport.Error {
	return &transport.Error{
		Code: transport.FailedPrecondition, Name: "loans.v1.declined", Message: message, Details: []byte(`{"limit":5}`),
		Fields:  []transport.Field{{Path: "sum", Message: "want at most 5"}, {Message: "too much"}},
		Address: "payments.v1.pay", ID: "42", Peer: "127.0.0.1:1",
		NotSent: true, RetryAfter: time.Second + 1, NoRetry: true,
	}
}

// entry is a final step with something in each field.
func entry(seq int, key string) *operation.Entry {
	return &operation.Entry{
		Seq: seq, Key: key, Kind: operation.KindStep, Attempt: 2, Of: 5, Output: []byte("result of " + key),
		Error: failure(key), Begun: noon.Add(5), Ended: noon.Add(6), Next: noon.Add(7),
	}
}

// open makes a step one that is not final.
func open(e *operation.Entry) *operation.Entry {
	e.Ended = time.Time{}
	return e
}

func signal(name, id string) *operation.Signal {
	return &operation.Signal{ID: id, Name: name, Body: []byte("body of " + id), Source: "clerk", At: noon.Add(8)}
}

func accept(r *operation.Record) operation.Change { return operation.Change{Op: r.ID, Accept: r} }
func update(r *operation.Record) operation.Change { return operation.Change{Op: r.ID, Update: r} }
func enter(op string, e *operation.Entry) operation.Change {
	return operation.Change{Op: op, Entry: e}
}
func tell(op string, g *operation.Signal) operation.Change {
	return operation.Change{Op: op, Signal: g}
}

// errCause is a Cause, which a journal does not keep.
var errCause = io.ErrUnexpectedEOF
