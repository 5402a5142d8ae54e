package delivery

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/transport"
)

// DeadLetters is the channel of all dead letters of a network and of what became of them: a stream that is kept for
// ever, because what is in it has been promised and not been done. It holds [DeadLetter] and [Redriven] records;
// [ReadDeadLetter] reads them.
func DeadLetters() transport.Channel {
	return transport.Channel{Address: "parley.dead-letters", Pattern: transport.Stream}
}

// Overhead is how much larger than a message its dead letter may be, in bytes, if its headers are plain text. A message
// within Overhead of [transport.Features.MaxBytes] can be delivered but perhaps not become a dead letter: it then stays
// with its receiver, which keeps trying; see [Status.Stuck]. So senders keep this distance.
const Overhead = 8 << 10

// DeadLetter is a message that a receiver has given up, with everything that a redrive needs. It is JSON as it is. The
// same (ID, Receiver, Copy) may be in the stream twice, after a crash; it is the same dead letter.
type DeadLetter struct {
	Version int `json:"version"` // 1

	// Attributes are those of the message as it was received, in the form of [transport.Envelope.Attributes].
	Attributes map[string]string `json:"attributes"`
	Body       []byte            `json:"body,omitzero"` // as it was; base64 in JSON

	// The message's channel.
	Address     string `json:"address"`
	Pattern     string `json:"pattern"` // "queue", "topic" or "stream"
	Partitions  int    `json:"partitions,omitzero"`
	RetainNanos int64  `json:"retain_ns,omitzero"`
	RetainBytes int64  `json:"retain_bytes,omitzero"`

	ID       string `json:"id"`             // of the message; made of its content when it had none that is valid
	Copy     string `json:"copy,omitzero"`  // which copy of it failed
	Style    string `json:"style,omitzero"` // "command" or "event"
	Group    string `json:"group,omitzero"` // the subscriber group; "" on a Queue
	Receiver string `json:"receiver"`       // who gave up, as the ledger calls it: Group, or the address of a Queue
	Service  string `json:"service,omitzero"`

	Reason    string `json:"reason"`    // of the last failure
	Permanent bool   `json:"permanent"` // retrying is useless; false = the retries are used up
	// StopKey: its key is stopped at the receiver until it and those behind it are through; see [Subscription.StopKey].
	// Behind is the message that stopped it, if it is not this one; no handler got this one then.
	StopKey bool   `json:"stop_key,omitzero"`
	Behind  string `json:"behind,omitzero"`

	Stack    string    `json:"stack,omitzero"` // where it panicked and a hash of the way there: equal for one defect
	Attempts int       `json:"attempts"`       // over all copies since the message was sent or last redriven
	First    time.Time `json:"first"`          // when the receiver that gave up first saw this copy
	Last     time.Time `json:"last"`           // when it gave up
}

// Redriven says that a dead letter was sent again. A dead letter that has one is no longer open.
type Redriven struct {
	Version  int       `json:"version"` // 1
	ID       string    `json:"id"`
	Receiver string    `json:"receiver"`
	Copy     string    `json:"copy,omitzero"` // of the dead letter
	As       string    `json:"as"`            // the copy that was sent
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Diff     string    `json:"diff,omitzero"` // what was edited; "" = nothing
}

// Content types of the two kinds of record.
const (
	deadLetterType = "application/vnd.parley.dead-letter"
	redrivenType   = "application/vnd.parley.redriven+json"
)

// newDeadLetter is the dead letter of e, a message of s.
func newDeadLetter(s *Subscription, e *transport.Envelope, why error, attempts int, first, last time.Time) *DeadLetter {
	d := &DeadLetter{
		Version: 1, Attributes: make(map[string]string), Body: e.Body,
		Address: s.Channel.Address, Pattern: s.Channel.Pattern.String(), Partitions: s.Channel.Partitions,
		RetainNanos: int64(s.Channel.Retain), RetainBytes: s.Channel.RetainBytes,
		ID: e.ID, Copy: e.Copy, Style: s.Style, Group: s.group(), Receiver: s.receiver(), Service: s.Service,
		Reason: reason(why), Permanent: IsPermanent(why), Attempts: attempts, First: first, Last: last,
	}
	for name, value := range e.Attributes {
		d.Attributes[name] = value
	}
	if c, ok := errors.AsType[*crash](why); ok {
		d.Stack = c.stack
	}
	d.StopKey = s.StopKey && s.ordered(e)
	if b, ok := errors.AsType[*behind](why); ok {
		d.Behind, d.Attempts = b.id, attempts-1
	}
	if probe := (&transport.Envelope{ID: e.ID, Copy: e.Copy, Address: "probe"}); probe.Validate() != nil {
		d.Copy = ""
		d.ID = fmt.Sprintf("malformed-%x", sha256.Sum256(append([]byte(e.ID+"\n"+e.Copy+"\n"), e.Body...)))
	}
	return d
}

// Channel is where the message came from.
func (d *DeadLetter) Channel() (transport.Channel, error) {
	c := transport.Channel{
		Address: d.Address, Partitions: d.Partitions, Retain: time.Duration(d.RetainNanos), RetainBytes: d.RetainBytes,
	}
	for _, p := range []transport.Pattern{transport.Queue, transport.Topic, transport.Stream} {
		if p.String() == d.Pattern {
			c.Pattern = p
		}
	}
	return c, c.Validate()
}

// Original is the message as it was received.
func (d *DeadLetter) Original() (*transport.Envelope, error) {
	e := &transport.Envelope{Body: d.Body}
	for name, value := range d.Attributes {
		if err := e.SetAttribute(name, value); err != nil {
			return nil, fmt.Errorf("dead letter of %s: %w", d.ID, err)
		}
	}
	return e, nil
}

// envelope is d as a message of the stream: JSON without the body, a line feed, and the body, which so keeps its size.
func (d *DeadLetter) envelope() *transport.Envelope {
	head := *d
	head.Body = nil
	b := encode(head)
	e := record(d.ID, "dead/"+d.Receiver+"/"+d.Copy, deadLetterType, append(append(b, '\n'), d.Body...), d.Last)
	if e.Trace = d.Attributes["traceparent"]; e.Validate() != nil {
		e.Trace = ""
	}
	return e
}

func (r *Redriven) envelope() *transport.Envelope {
	return record(r.ID, "redriven/"+r.Receiver+"/"+r.As, redrivenType, encode(r), r.At)
}

// encode is v, a DeadLetter or Redriven, as JSON. What is no UTF-8, in an attribute that came malformed, is replaced.
func encode(v any) []byte {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(fmt.Sprintf("delivery: a %T has no JSON, whatever it holds: %v", v, err))
	}
	return b
}

// record is a message of the stream. Its Copy keeps it apart from the message whose ID it has.
func record(id, as, contentType string, body []byte, at time.Time) *transport.Envelope {
	return &transport.Envelope{
		ID: id, Copy: as, Correlation: id, Source: "parley", Address: DeadLetters().Address, Time: at,
		ContentType: contentType, Body: body,
	}
}

// ReadDeadLetter reads a message of [DeadLetters]. Without an error, exactly one of the results is not nil.
func ReadDeadLetter(e *transport.Envelope) (*DeadLetter, *Redriven, error) {
	fail := func(err error) (*DeadLetter, *Redriven, error) {
		return nil, nil, fmt.Errorf("reading the dead-letter stream, message %s: %w", e.ID, err)
	}
	switch e.ContentType {
	case deadLetterType:
		head, body, _ := bytes.Cut(e.Body, []byte("\n"))
		d := new(DeadLetter)
		if err := json.Unmarshal(head, d); err != nil {
			return fail(err)
		}
		if d.Version != 1 {
			return fail(fmt.Errorf("a dead letter of version %d: want 1; a newer parley wrote it", d.Version))
		}
		d.Body = body
		return d, nil, nil
	case redrivenType:
		r := new(Redriven)
		if err := json.Unmarshal(e.Body, r); err != nil {
			return fail(err)
		}
		if r.Version != 1 {
			return fail(fmt.Errorf("a redrive of version %d: want 1; a newer parley wrote it", r.Version))
		}
		return nil, r, nil
	}
	return fail(fmt.Errorf("content type %q: want %s or %s", e.ContentType, deadLetterType, redrivenType))
}
