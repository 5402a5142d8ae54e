package operation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Journal keeps operations. It is the seam towards databases: package store/sqlite has one on a file, store/mem one
// in memory; package operation/journaltest has the promises as a test. All methods may be called concurrently.
//
// An error means that nothing is known about the outcome, or that nothing was done; the engine repeats Commit with
// the same batch until it knows, so that every Change must be idempotent.
type Journal interface {
	// Register makes a worker the owner of what it worked on before and of everything that nobody who lives owns. It
	// answers a new epoch, above all earlier ones: whoever commits with an older epoch of the same worker is fenced off.
	// A journal that serves one process only refuses a second one here or when it is opened, and names both.
	Register(ctx context.Context, worker string) (Lease, error)
	// Commit applies a batch in order, all of it or nothing, and returns when it is durable: one outcome for each
	// change. It answers ErrFenced, and changes nothing, when the lease is not valid any more.
	Commit(ctx context.Context, lease Lease, batch []Change) ([]Outcome, error)
	// Load reads operations with their steps and signals, in the order of the ids; those that do not exist are left out.
	Load(ctx context.Context, ids ...string) ([]Stored, error)
	// List reads operations without their steps.
	List(ctx context.Context, f Filter) ([]Record, error)
	// Close frees everything. Closing twice is fine.
	Close() error
}

// Lease is a worker's right to write.
type Lease struct {
	Journal string // identifies the journal itself, for ever: two instances of an owner must see the same
	Worker  string
	Epoch   int64
}

// Change is one write; exactly one of its fields is set, beside Op.
type Change struct {
	Op string // the operation's ID; "" only with Forget

	// Accept inserts a new operation with everything in it. Outcome.Existing is what was there before instead, if
	// anything was; then nothing is written.
	Accept *Record
	// Update replaces what may change of a record: all but ID, Address, Version, Input, Created and where it comes
	// from. A record that is Done is not changed any more, see Outcome.Ignored.
	Update *Record
	// Entry inserts a step, or replaces one of the same key that is not final. A final one is not changed any more, see
	// Outcome.Ignored.
	Entry *Entry
	// Signal adds a signal and gives it the next N of its name. One whose ID is there already is ignored.
	Signal *Signal
	// Forget deletes the operations that were Finished before that time, with their steps and signals.
	Forget time.Time
}

// Check refuses what is no change; every Journal asks it before it commits anything.
func (c *Change) Check() error {
	set := 0
	for _, is := range []bool{c.Accept != nil, c.Update != nil, c.Entry != nil, c.Signal != nil, !c.Forget.IsZero()} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return fmt.Errorf("a change of operation %q has %d kinds of change in it; want one", c.Op, set)
	case (c.Op == "") != !c.Forget.IsZero():
		return fmt.Errorf("a change has the operation %q; want none with Forget, and one otherwise", c.Op)
	case c.Accept != nil && c.Accept.ID != c.Op:
		return fmt.Errorf("a change of operation %q accepts %q; want the same ID", c.Op, c.Accept.ID)
	}
	return nil
}

// Outcome is what became of a Change.
type Outcome struct {
	Existing *Record // of Accept: the operation that has this ID already
	Ignored  bool    // the change had been made before, or came too late, as Change says
	Missing  bool    // there is no operation of this ID
	N        int     // of Signal: its place; also of one that was there already
	Forgot   int     // of Forget
}

// ErrFenced is what a worker gets whose lease is not valid any more: another one works on its operations.
var ErrFenced = errors.New("another worker has taken over")

// Filter selects operations; its zero value selects all. The conditions are joined by "and".
type Filter struct {
	Address  string
	Version  int      // 0 = any
	Statuses []Status // empty = any
	// DueBefore selects those that are open and have a WakeAt before that time, by WakeAt, then Created, then ID.
	// Otherwise the order is newest first: by Created, then ID, both falling.
	DueBefore time.Time
	// After is the last Record of the page before; nil = from the first.
	After *Record
	Limit int // 0 = 100
}
