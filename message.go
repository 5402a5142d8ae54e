package parley

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// MessageID names one message, call or operation, from before it is sent until the last trace of it is gone. It survives
// retries, delays, dead letters and redrives. [Client.Follow] shows what became of it.
type MessageID string

// Message is what a handler may know of the message or call that it handles, beside the payload.
type Message struct {
	ID          MessageID
	Address     string
	Source      string            // the service that sent it
	Key         string            // "" = none
	Correlation MessageID         // the id that began the story
	Causation   MessageID         // the id whose handling sent this one; "" = nobody's
	Attempt     int               // from 1
	Time        time.Time         // when it was made, by the sender's clock
	Headers     map[string]string // not to be changed
}

type messageKey struct{}

// handling is what a handler's context knows: the message or call, what it declared to be undone, and what it has sent.
type handling struct {
	*transport.Envelope
	undos
	sent
}

// sent counts what a handler of messages has sent, by address. The zero value, for handlers of anything else, counts
// nothing.
type sent struct {
	receiver string // the handler's group, or the address of its command

	mu sync.Mutex
	n  map[string]int
}

// MessageFrom is the message or call that the handler with this context handles; false outside of handlers. In the code
// of an operation it is the request for it; in a step of it, the step, whose ID is the same at every attempt and whose
// Causation is the operation. Whatever a handler sends with its context is a part of the same story. What the handler of a
// message sends to one address, one after another, has the same ids at every attempt, and at a redrive: made of the
// message's id, the receiver, the address and a number; so who knows an id takes it once.
func MessageFrom(ctx context.Context) (Message, bool) {
	e, ok := ctx.Value(messageKey{}).(*handling)
	if !ok {
		return Message{}, false
	}
	return messageOf(e.Envelope), true
}

func messageOf(e *transport.Envelope) Message {
	return Message{
		ID: MessageID(e.ID), Address: e.Address, Source: e.Source, Key: e.Key, Correlation: MessageID(story(e)),
		Causation: MessageID(e.Causation), Attempt: max(e.Attempt, 1), Time: e.Time, Headers: e.Headers,
	}
}

func withMessage(ctx context.Context, h *handling) context.Context {
	return context.WithValue(ctx, messageKey{}, h)
}

func story(e *transport.Envelope) string {
	if e.Correlation != "" {
		return e.Correlation
	}
	return e.ID
}

// newEnvelope makes what a verb sends: a new id, and its place in the story that ctx belongs to. Its Trace is that of
// its cause until it is sent, see spanned.
func newEnvelope(ctx context.Context, address, source string, body []byte) *transport.Envelope {
	e := &transport.Envelope{
		ID: newID(), Source: source, Address: address, ContentType: contentJSON, Time: time.Now(), Attempt: 1, Body: body,
	}
	if cause, ok := ctx.Value(messageKey{}).(*handling); ok {
		e.Correlation, e.Causation, e.Trace = story(cause.Envelope), cause.ID, cause.Trace
		if step, ok := operation.StepFrom(ctx); ok {
			e.ID = step.NextID(address)
		}
	}
	return e
}

// newMessage is newEnvelope of what is stored: with an id that another attempt of the handler, if ctx is one's, gives it
// again.
func newMessage(ctx context.Context, address, source string, body []byte) *transport.Envelope {
	e := newEnvelope(ctx, address, source, body)
	if cause, ok := ctx.Value(messageKey{}).(*handling); ok && cause.receiver != "" {
		e.ID = cause.nextID(cause.ID, address)
	}
	return e
}

// nextID is that of the next thing that the handler of the message id sends to an address.
func (s *sent) nextID(id, address string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n = make(map[string]int)
	}
	s.n[address]++
	return operation.StepID(id, s.receiver+"/"+address+"#"+strconv.Itoa(s.n[address]))
}

// newID makes a UUIDv7: unique without asking anybody, and sorted by time.
func newID() string { return uuid.Must(uuid.NewV7FromReader(random{})).String() }

// random reads from the runtime's generator, which needs no system call. Ids are unique, not secret.
type random struct{}

func (random) Read(b []byte) (int, error) {
	for i := 0; i < len(b); i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], rand.Uint64())
		copy(b[i:], word[:])
	}
	return len(b), nil
}

// childTrace is a W3C traceparent with a new span in the trace of parent, or in a new sampled trace if parent is none.
func childTrace(parent string) string {
	var out [55]byte
	span := rand.Uint64() | 1 // all zeros is invalid
	if len(parent) == len(out) && parent[2] == '-' && parent[35] == '-' && parent[52] == '-' {
		copy(out[:], parent)
	} else {
		var trace [16]byte
		binary.LittleEndian.PutUint64(trace[:8], rand.Uint64()|1)
		binary.LittleEndian.PutUint64(trace[8:], rand.Uint64())
		copy(out[:], "00-")
		hex.Encode(out[3:35], trace[:])
		copy(out[35:], "-0000000000000000-01")
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], span)
	hex.Encode(out[36:52], b[:])
	return string(out[:])
}
