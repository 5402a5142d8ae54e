package operation

import (
	"time"

	"github.com/parley-io/parley/transport"
)

// Status is where an operation is. The names are those of the status resource on the wire.
type Status string

const (
	NotStarted   Status = "NotStarted"   // accepted, and waits for room
	Running      Status = "Running"      // begun: its code runs, or waits for a step, a time or a signal
	Canceling    Status = "Canceling"    // somebody asked for it to be canceled; no step begins any more
	Compensating Status = "Compensating" // it has failed, and what it did is being undone
	Parked       Status = "Parked"       // it stands until somebody acts; Record.Parked says why. Nothing is lost
	Succeeded    Status = "Succeeded"    // final: Output is its result
	Failed       Status = "Failed"       // final: Error says why; what had to be undone is
	Canceled     Status = "Canceled"     // final: it was canceled, and what had to be undone is
)

// Done reports whether nothing more happens to an operation in s.
func (s Status) Done() bool { return s == Succeeded || s == Failed || s == Canceled }

// Record is one operation as it is stored, without its steps.
type Record struct {
	ID      string // also the idempotency key of its acceptance
	Address string // "loans.v1.decide"
	Version int    // of the code, pinned at acceptance
	Status  Status
	Input   []byte
	Output  []byte           // of Succeeded
	Error   *transport.Error // of Failed, Canceled and Compensating: why
	Parked  string           // of Parked: why, and what to do

	// Where it comes from, as in the envelope that asked for it.
	Source, Key, Correlation, Causation, Trace string

	Created  time.Time // when it was accepted
	Updated  time.Time // the last change of the record, or of anything of it while it is in memory
	Finished time.Time // zero until Done
	Deadline time.Time // when it fails unless it is Done; zero = never

	// WakeAt is when an operation that is open and not running in any process has something to do: the zero time =
	// at once, Never = when somebody acts (a signal, a cancel, a retry).
	WakeAt time.Time
	// Cancel is what the one who asked to cancel said; "" = nobody did.
	Cancel string
	// Undo are the names of the undos that have to run, in the order in which they were declared; fixed when the
	// operation becomes Compensating.
	Undo []string
	// Revision grows with every change of anything of the operation. The journal has that of the last change of the
	// record; whoever takes an operation over begins at [Lease].Epoch millions, which is above all that was shown before.
	Revision int64
}

// Never is a WakeAt that does not come.
var Never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Entry is one step in the journal of an operation.
type Entry struct {
	Seq     int    // its place in the order in which the code asked for steps, from 1; undos come after all others
	Key     string // unique in the operation: "payout", "pricing.v1.quote#1", "signal:signed#1", "undo:payout"
	Kind    string // what the code asked for: KindStep, …
	Attempt int    // attempts so far
	Of      int    // attempts at the most; 0 = as many as it takes
	Output  []byte
	Error   *transport.Error // why it failed; of a step that is not final, why its last attempt did
	Begun   time.Time        // the first attempt
	Ended   time.Time        // zero = not final: it is to be tried again, or waits
	Next    time.Time        // of a step that is not final: when it is tried again or stops waiting; zero = not for a time
}

// Final reports whether the step is over; its result never changes after that.
func (e *Entry) Final() bool { return !e.Ended.IsZero() }

// The kinds of entries.
const (
	KindStep      = "step"      // Step, Go, Gather: a function of the operation's code
	KindCall      = "call"      // a verb of a contract, called in the operation's code
	KindCommand   = "command"   //
	KindEvent     = "event"     //
	KindOperation = "operation" // another operation: its start, or the wait for it
	KindSleep     = "sleep"
	KindSignal    = "signal" // waiting for one
	KindUndo      = "undo"
)

// Signal is something that was told to an operation.
type Signal struct {
	ID     string // of the message that told it; the same one twice is one signal
	Name   string // "signed"
	Body   []byte
	Source string // who told it
	At     time.Time
	N      int // its place among the signals of this name, from 1; set by the Journal
}

// Stored is everything that a journal has of one operation.
type Stored struct {
	Record
	Entries []Entry  // by Seq
	Signals []Signal // by name, then N
}

// DefaultRetain is how long operations that are Done are kept.
const DefaultRetain = 30 * 24 * time.Hour
