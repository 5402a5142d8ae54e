package parley

import (
	"time"

	"github.com/parley-io/parley/transport"
)

// Options of a contract, typed by what they fit.
type (
	// CallOption is an option of [NewCall].
	CallOption interface{ call(c *contract) }
	// CommandOption is an option of [NewCommand].
	CommandOption interface{ command(c *contract) }
	// EventOption is an option of [NewEvent].
	EventOption interface{ event(c *contract) }
	// MessageOption is an option of [NewCommand] and of [NewEvent].
	MessageOption interface {
		CommandOption
		EventOption
	}
)

type callOption func(*contract)

func (f callOption) call(c *contract) { f(c) }

type eventOption func(*contract)

func (f eventOption) event(c *contract) { f(c) }

type messageOption func(*contract)

func (f messageOption) command(c *contract) { f(c) }
func (f messageOption) event(c *contract)   { f(c) }

// Idempotent says that doing it twice is the same as doing it once, so that a call which may have been executed may
// be repeated. Without it only a call that certainly was not sent is.
func Idempotent() CallOption { return callOption(func(c *contract) { c.idempotent = true }) }

// REST binds a call to a route beside its own, for curl and for other languages: REST("GET", "/stock/{sku}"). Fields
// of the request are taken from the path, then from the query (not for a body's fields that are objects), then
// from the body. Paths are as in [net/http.ServeMux].
func REST(method, path string) CallOption {
	return callOption(func(c *contract) { c.method, c.path = method, path })
}

// Lifetime is how long after its acceptance a message is still worth handling; after that it is recorded as expired
// and not handled. 0, the default, is for ever.
func Lifetime(d time.Duration) MessageOption {
	return messageOption(func(c *contract) { c.lifetime = d })
}

// Partitions is how many partitions the channel of a keyed contract has, 1 to [transport.MaxPartitions]; it can't be
// changed later. The default is [DefaultPartitions].
func Partitions(n int) MessageOption {
	return messageOption(func(c *contract) { c.partitions = n })
}

// Stream keeps an event after it was handled, so that new groups can begin at the start, at a time or at a position,
// and anybody can replay it: for as long as keep and up to bytes, whichever comes first; 0 = no bound.
func Stream(keep time.Duration, bytes int64) EventOption {
	return eventOption(func(c *contract) { c.stream, c.keepFor, c.keepBytes = true, keep, bytes })
}

// RequireAudience makes publishing an event that nobody has subscribed to an error, [ErrNoAudience]. Without it, that is
// success, and recorded as "nobody subscribes".
func RequireAudience() EventOption { return eventOption(func(c *contract) { c.audience = true }) }

// SendOption is an option of Send and Publish.
type SendOption interface{ send(e *transport.Envelope) }

// RequestOption is an option of one Call.
type RequestOption interface{ request(e *transport.Envelope) }

// MessageCallOption is an option of Send, Publish and Call.
type MessageCallOption interface {
	SendOption
	RequestOption
}

type sendOption func(*transport.Envelope)

func (f sendOption) send(e *transport.Envelope) { f(e) }

type anyOption func(*transport.Envelope)

func (f anyOption) send(e *transport.Envelope)    { f(e) }
func (f anyOption) request(e *transport.Envelope) { f(e) }

// NotBefore keeps a message from its receivers until t, by the clock of the broker. It survives restarts of everybody.
func NotBefore(t time.Time) SendOption {
	return sendOption(func(e *transport.Envelope) { e.NotBefore = t })
}

// Header adds a header to the message or request: name of a-z and 0-9, value without control characters.
func Header(name, value string) MessageCallOption {
	return anyOption(func(e *transport.Envelope) {
		if e.Headers == nil {
			e.Headers = make(map[string]string)
		}
		e.Headers[name] = value
	})
}

// WithID gives the message or request an id of the caller's choice, so that sending it again after a crash is the
// same message. It must be unique for good; 1 to 128 visible ASCII characters.
func WithID(id MessageID) MessageCallOption {
	return anyOption(func(e *transport.Envelope) { e.ID = string(id) })
}

// ReportID stores the id of the message or request in *id before it is sent, so that it can be followed while it is on
// its way.
func ReportID(id *MessageID) MessageCallOption { return reportID{id} }

// reportID does its work once all other options have done theirs.
type reportID struct{ to *MessageID }

func (reportID) send(*transport.Envelope)    {}
func (reportID) request(*transport.Envelope) {}

// report gives the id of e to those options that ask for it.
func report[O any](options []O, e *transport.Envelope) {
	for _, o := range options {
		if r, ok := any(o).(reportID); ok {
			*r.to = MessageID(e.ID)
		}
	}
}
