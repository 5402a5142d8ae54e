package ledger

import "time"

// Trail is what became of a message, call or operation and of everything that it caused, oldest first. It is the same
// for client.Follow, `parley follow` and GET /v1/messages/{id}.
type Trail struct {
	Query string `json:"query"` // what was asked for
	// Found says how Query was understood: "id", "correlation", "key" or "trace".
	Found string `json:"found"`
	Hops  []Hop  `json:"hops"`
	// Settled: nothing in the trail is waiting, running or to be retried, and nothing is missing.
	Settled bool `json:"settled"`
	// Gaps are the reasons why the trail may be incomplete, in words.
	Gaps []string `json:"gaps"`
	// Revision grows with every change of what this trail shows; it means nothing to another collector.
	Revision uint64 `json:"revision,omitzero"`
}

// Concluded reports whether what was asked for is over: for an id, that message, call or operation alone has reached a
// final state at every receiver, whatever it caused; for any other query, the whole trail is Settled.
func (t Trail) Concluded() bool {
	if t.Found != FoundID {
		return t.Settled
	}
	for i := range t.Hops {
		if t.Hops[i].ID == t.Query {
			return t.Hops[i].Settled()
		}
	}
	return false
}

// How a Query was understood.
const (
	FoundID          = "id"
	FoundCorrelation = "correlation"
	FoundKey         = "key"
	FoundTrace       = "trace"
)

// Hop is one message, call, operation, or step or signal of an operation in a trail.
type Hop struct {
	ID          string    `json:"id"`
	Style       string    `json:"style"` // StyleCall, StyleCommand, …; "" = not recorded
	Address     string    `json:"address"`
	Key         string    `json:"key,omitzero"`
	Source      string    `json:"source,omitzero"`
	Correlation string    `json:"correlation,omitzero"`
	Causation   string    `json:"causation,omitzero"`
	Trace       string    `json:"trace,omitzero"`    // the W3C trace id: 32 hexadecimal digits
	Depth       int       `json:"depth"`             // 0 = began the story; a hop's causes come before it
	Accepted    time.Time `json:"accepted,omitzero"` // zero = not recorded, see Gaps
	// Nobody is true for an event that no group had subscribed to when it was accepted.
	Nobody    bool       `json:"nobody,omitzero"`
	Receivers []Receiver `json:"receivers"` // expected and actual ones, by name; one for a command or call
}

// Settled reports whether nothing more happens to this hop unless somebody acts: every receiver is in a final state,
// and of what can have several, its acceptance is recorded, which says who they are. An event whose groups were not
// known needs at least one receiver.
func (h *Hop) Settled() bool {
	switch h.Style {
	case StyleCall, StyleOperation, StyleStep, StyleSignal: // one receiver, which has reported
	default:
		if h.Accepted.IsZero() {
			return false
		}
	}
	for i := range h.Receivers {
		if !h.Receivers[i].State.Final() {
			return false
		}
	}
	return h.Nobody || len(h.Receivers) > 0
}

// State is where a receiver is with a message.
type State string

const (
	Waiting    State = "waiting"  // expected, not begun; or begun and cut off, and going to begin again
	Running    State = "running"  // an attempt has begun and not ended
	Retrying   State = "retrying" // failed, will be tried again; Next says when
	Handled    State = "done"
	DeadLetter State = "dead-lettered"
	Unwanted   State = "filtered"
	TooLate    State = "expired"
	// Unsuccessful: a call, an operation or a step ended with an error.
	Unsuccessful State = "failed"
	// Abandoned: the operation or the step that this belongs to is over, and this had not come to an end by itself: a step
	// or a call that was cut off, a signal that nobody took.
	Abandoned State = "abandoned"
)

// The styles. Received and Done of an operation or a signal are reported by whoever runs the operation, without
// [Transition].Attempts. With Attempts they come from a queue that handed the request over under the same id, and are
// left out.
const (
	StyleCall      = "call"
	StyleCommand   = "command"
	StyleEvent     = "event"
	StyleOperation = "operation"
	StyleStep      = "step"   // of an operation: caused by it, its address is the operation's and the step's name
	StyleSignal    = "signal" // to an operation: like a step, with the signal's name
)

// Final reports whether nothing more happens in s unless somebody acts.
func (s State) Final() bool { return s != Waiting && s != Running && s != Retrying }

// Receiver is one group's (or callee's) part in a hop.
type Receiver struct {
	Group    string    `json:"group"`
	State    State     `json:"state"`
	Attempts []Attempt `json:"attempts"`
	Of       int       `json:"of,omitzero"` // attempts at the most
	// Next is when the next attempt is due; of a step that waits for a time or a signal, when that is over at the latest.
	Next     time.Time `json:"next,omitzero"`
	Redriven int       `json:"redriven,omitzero"`
	// Reason is why it was dead-lettered or filtered, has expired or failed, or why it is retried no sooner: the
	// receiver is paused.
	Reason string `json:"reason,omitzero"`
}

// Attempt is one try of one receiver.
type Attempt struct {
	Number   int           `json:"number"` // from 1, over all copies
	Copy     string        `json:"copy,omitzero"`
	Instance string        `json:"instance,omitzero"`
	Began    time.Time     `json:"began"`
	Took     time.Duration `json:"took,omitzero"` // nanoseconds in JSON; 0 = has not ended, or not known to have
	Error    string        `json:"error,omitzero"`
	By       string        `json:"by,omitzero"` // who redrove it, for the first attempt of a redrive
}
