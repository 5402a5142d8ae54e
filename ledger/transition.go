package ledger

import (
	"time"

	"github.com/parley-io/parley/transport"
)

// Kind is what happened.
type Kind string

const (
	Accepted     Kind = "accepted"      // the broker has confirmed a message; Expected says who should get it
	Received     Kind = "received"      // an attempt of a group begins
	Done         Kind = "done"          // it succeeded: the group has handled the message
	Failed       Kind = "failed"        // it failed; Reason says why
	Delayed      Kind = "delayed"       // the group tries again at Until
	DeadLettered Kind = "dead-lettered" // the group has given up; the message is kept among the dead letters
	Redriven     Kind = "redriven"      // sent again to the group that had given up, by By
	Filtered     Kind = "filtered"      // the group's subscription does not want it
	Expired      Kind = "expired"       // its lifetime was over before the group began
	Called       Kind = "called"        // an attempt of a call begins, at the caller
	Answered     Kind = "answered"      // it was answered; Reason is "" or the error
	Ended        Kind = "ended"         // an operation, or a step of one, ended without success; Reason says why; final
)

// Transition is one thing that happened to one message, call, operation, or step or signal of an operation.
type Transition struct {
	At   time.Time `json:"at"`
	Kind Kind      `json:"kind"`

	ID          string `json:"id"`
	Address     string `json:"address,omitzero"`
	Style       string `json:"style,omitzero"` // StyleCall, StyleCommand, …
	Key         string `json:"key,omitzero"`
	Copy        string `json:"copy,omitzero"`
	Correlation string `json:"correlation,omitzero"` // "" = ID
	Causation   string `json:"causation,omitzero"`
	Trace       string `json:"trace,omitzero"`
	Source      string `json:"source,omitzero"` // the service that sent it

	Service  string `json:"service,omitzero"`  // where this happened
	Instance string `json:"instance,omitzero"` // which process of it
	Group    string `json:"group,omitzero"`    // of a receiver; the callee's service for a call, where known

	Attempt  int           `json:"attempt,omitzero"`  // from 1
	Attempts int           `json:"attempts,omitzero"` // how many there are at the most
	Took     time.Duration `json:"took,omitzero"`     // the attempt that ended; nanoseconds on the wire, see MarshalJSONTo
	// Until is, of Delayed and Failed, when it is tried again; of Received at a step that waits for a time or a signal,
	// when that is over at the latest.
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason,omitzero"`
	By     string    `json:"by,omitzero"`
	// Expected are, of Accepted, the registered groups; empty = nobody subscribes; nil (absent) = not known.
	Expected []string `json:"expected,omitzero"`
}

// Of begins a Transition about e. The recorder's side adds who and when.
func Of(kind Kind, style string, e *transport.Envelope) Transition {
	return Transition{
		Kind: kind, Style: style, ID: e.ID, Address: e.Address, Key: e.Key, Copy: e.Copy, Source: e.Source,
		Correlation: e.Correlation, Causation: e.Causation, Trace: e.Trace, Attempt: max(e.Attempt, 1),
	}
}

// Recorder takes transitions. Safe for concurrent use; it never blocks on the network.
type Recorder interface {
	// Record notes t; a zero t.At becomes now. confirmed, if not nil, is called exactly once, from any goroutine,
	// perhaps before Record returns: when t is stored, or when it is certain that it will not be (it was dropped and
	// counted, because the ledger could not be written for a second).
	Record(t Transition, confirmed func())
}

// Discard is the Recorder of a network without a ledger.
var Discard Recorder = discard{}

type discard struct{}

func (discard) Record(_ Transition, confirmed func()) {
	if confirmed != nil {
		confirmed()
	}
}

// Stream is the channel of the ledger: a ring of a day or a gibibyte.
func Stream() transport.Channel {
	return transport.Channel{Address: "parley.ledger", Pattern: transport.Stream, Retain: 24 * time.Hour, RetainBytes: 1 << 30}
}
