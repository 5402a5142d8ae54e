package parley

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/operation"
)

// OperationStatus is an operation as its owner shows it to anybody, in Go and over HTTP.
type OperationStatus struct {
	ID      MessageID `json:"id"`
	Name    string    `json:"name"`    // its address
	Version int       `json:"version"` // of the code, pinned at acceptance
	// Status is NotStarted, Running, Canceling, Compensating (what was done is being undone), Parked (it stands until
	// somebody helps, see Metadata.Parked), Succeeded, Failed or Canceled.
	Status   operation.Status  `json:"status"`
	Done     bool              `json:"done"` // Succeeded, Failed or Canceled
	Metadata OperationMetadata `json:"metadata"`
	Result   jsontext.Value    `json:"result,omitzero"` // of Succeeded
	Error    *Problem          `json:"error,omitzero"`  // of Failed, Canceled and Compensating
	Created  time.Time         `json:"created"`
	Updated  time.Time         `json:"updated"`
	Deadline time.Time         `json:"deadline,omitzero"`
	Expires  time.Time         `json:"expires,omitzero"` // when a Done operation may be forgotten
	Revision int64             `json:"revision"`         // grows with every change; the ETag
}

// OperationMetadata is what is known of how far an operation has come.
type OperationMetadata struct {
	Progress Progress     `json:"progress"`
	Steps    []StepStatus `json:"steps"`            // in the order in which they were asked for
	Left     []string     `json:"left"`             // of the contract's Phases: those that have not begun
	Parked   string       `json:"parked,omitzero"`  // why it is Parked, and what to do
	Queued   bool         `json:"queued,omitzero"`  // its owner is away, and the request waits in the owner's queue
	Reason   string       `json:"reason,omitzero"`  // what the one who canceled it said
	Source   string       `json:"source,omitzero"`  // the service that asked for it
	Signals  []string     `json:"signals,omitzero"` // those raised and not taken yet
}

// Progress counts steps.
type Progress struct {
	Done int `json:"done"`
	Of   int `json:"of"` // with what is left of the Phases; what comes after that nobody knows
}

// StepStatus is one step.
type StepStatus struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // "step", "call", "command", "event", "operation", "sleep", "signal", "undo"
	// State is "running", "waiting" (for a time or a signal), "retrying", "done" or "failed".
	State   string    `json:"state"`
	Attempt int       `json:"attempt,omitzero"`
	Of      int       `json:"of,omitzero"`    // attempts at the most; 0 = as many as it takes
	Error   string    `json:"error,omitzero"` // of its last attempt
	Begun   time.Time `json:"begun"`
	Ended   time.Time `json:"ended,omitzero"`
	Next    time.Time `json:"next,omitzero"` // when it is tried again, or stops waiting
}

// The states of a step.
const (
	StepRunning  = "running"
	StepWaiting  = "waiting"
	StepRetrying = "retrying"
	StepDone     = "done"
	StepFailed   = "failed"
)

// Problem is an error as RFC 9457 writes it, with the members that calls' problems have.
type Problem struct {
	Type    string         `json:"type"`
	Title   string         `json:"title"`
	Detail  string         `json:"detail,omitzero"`
	Code    Code           `json:"code"`
	Name    string         `json:"name,omitzero"`
	Details jsontext.Value `json:"details,omitzero"`
	Fields  []Field        `json:"fields,omitzero"`
}

// Err is the operation's error: nil unless it is Done without having Succeeded.
func (s *OperationStatus) Err() error {
	if !s.Done || s.Status == operation.Succeeded {
		return nil
	}
	e := &Error{Code: Unknown, Message: "it failed without saying why"}
	if p := s.Error; p != nil {
		e = &Error{Code: p.Code, Name: p.Name, Message: p.Detail, Details: p.Details, Fields: p.Fields}
	}
	e.Address, e.ID = s.Name, string(s.ID)
	return e
}

func problemOf(e *Error) *Problem {
	if e == nil {
		return nil
	}
	p := &Problem{Type: "about:blank", Title: string(e.Code), Detail: e.Message, Code: e.Code, Name: e.Name, Details: e.Details, Fields: e.Fields}
	if e.Name != "" {
		p.Type, p.Title = "urn:parley:error:"+e.Name, e.Name
	}
	if e.Address != "" { // what another service answered
		p.Detail = e.Error()
	}
	return p
}

// statusOf shows a record, with its steps if s has them.
func statusOf(s operation.Snapshot, phases []string) OperationStatus {
	o := OperationStatus{
		ID: MessageID(s.ID), Name: s.Address, Version: s.Version, Status: s.Status, Done: s.Status.Done(),
		Result: s.Output, Error: problemOf(s.Error), Created: s.Created, Updated: s.Updated, Deadline: s.Deadline, Revision: s.Revision,
		Metadata: OperationMetadata{Steps: []StepStatus{}, Left: []string{}, Parked: s.Parked, Reason: s.Cancel, Source: s.Source},
	}
	if o.Done {
		o.Expires = s.Finished.Add(operation.DefaultRetain)
	}
	active := make(map[string]operation.Active)
	for _, a := range s.Active {
		active[a.Key] = a
	}
	for _, e := range s.Entries {
		if e.Final() {
			o.Metadata.Steps = append(o.Metadata.Steps, stepOf(e, false))
		} else if _, ok := active[e.Key]; !ok && !o.Done {
			o.Metadata.Steps = append(o.Metadata.Steps, stepOf(e, false)) // parked
		}
	}
	for _, a := range s.Active {
		o.Metadata.Steps = append(o.Metadata.Steps, stepOf(a.Entry, a.Running))
	}
	begun := make(map[string]bool)
	for _, step := range o.Metadata.Steps {
		begun[phaseOf(step.Name)] = true
		if step.State == StepDone || step.State == StepFailed {
			o.Metadata.Progress.Done++
		}
	}
	if !o.Done {
		for _, p := range phases {
			if !begun[p] {
				o.Metadata.Left = append(o.Metadata.Left, p)
			}
		}
	}
	o.Metadata.Progress.Of = len(o.Metadata.Steps) + len(o.Metadata.Left)
	o.Metadata.Signals = untaken(s)
	return o
}

// phaseOf is the name of a step's phase: without its number, and of a signal the signal's.
func phaseOf(key string) string {
	name, _, _ := strings.Cut(key, "#")
	return strings.TrimPrefix(name, "signal:")
}

// untaken are the signals that the code has not asked for.
func untaken(s operation.Snapshot) []string {
	taken := make(map[string]int)
	for _, e := range s.Entries {
		if e.Kind == operation.KindSignal && e.Final() && e.Error == nil {
			taken[phaseOf(e.Key)]++
		}
	}
	var left []string
	for _, signal := range s.Signals {
		if signal.N > taken[signal.Name] {
			left = append(left, signal.Name)
		}
	}
	return slices.Compact(left)
}

func stepOf(e operation.Entry, running bool) StepStatus {
	s := StepStatus{Name: e.Key, Kind: e.Kind, Attempt: e.Attempt, Of: e.Of, Begun: e.Begun, Ended: e.Ended, Next: e.Next}
	if e.Error != nil {
		s.Error = e.Error.Error()
	}
	switch {
	case e.Final() && e.Error != nil:
		s.State = StepFailed
	case e.Final():
		s.State = StepDone
	case running:
		s.State = StepRunning
	case e.Kind == operation.KindSleep || e.Kind == operation.KindSignal || e.Error == nil:
		s.State = StepWaiting
	default:
		s.State = StepRetrying
	}
	return s
}
