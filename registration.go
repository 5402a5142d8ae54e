package parley

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

// Registration is what a service does with one contract: the result of Handle or Subscribe, or an option of the whole
// service.
type Registration interface{ register(s *Service) error }

// answering is a call with its handler.
type answering struct {
	*contract
	defined string
	missing bool // there is no handler
	run     func(ctx context.Context, body []byte) ([]byte, error)
}

func (r *answering) register(s *Service) error {
	if r.missing {
		return fmt.Errorf("%s, at %s: %s", r.address, r.defined, noHandler)
	}
	for _, other := range s.answers {
		if other.address == r.address {
			return fmt.Errorf("%s is handled twice: at %s and at %s", r.address, other.defined, r.defined)
		}
	}
	s.answers = append(s.answers, r)
	return nil
}

const noHandler = "the handler is nil"

// receiving is a command or event with its handler.
type receiving struct {
	*contract
	group    string // of an event
	defined  string
	problems []string // told by register
	run      func(context.Context, *transport.Envelope) error
	only     any // a func(T) bool
	wants    func(*transport.Envelope) (bool, error)

	concurrency int
	timeout     time.Duration
	retries     delivery.Retries
	from        transport.Position

	stopKey, noKillSwitch bool
}

func (r *receiving) register(s *Service) error {
	if len(r.problems) > 0 {
		return fmt.Errorf("%s, at %s: %s", r.address, r.defined, strings.Join(r.problems, "; "))
	}
	if r.style == StyleEvent {
		if err := transport.CheckGroup(r.group); err != nil {
			return fmt.Errorf("subscription to %s, at %s: group: %w", r.address, r.defined, err)
		}
		if r.group == OwnerGroup {
			return fmt.Errorf("subscription to %s, at %s: the group %q marks the owners of operations; choose another name", r.address, r.defined, r.group)
		}
	}
	if !r.from.IsZero() && !r.stream {
		return fmt.Errorf("subscription to %s, at %s: From wants an event with the Stream option: a topic keeps nothing to begin from", r.address, r.defined)
	}
	for _, other := range s.receives {
		if other.address == r.address && other.group == r.group {
			return fmt.Errorf("%s is handled twice%s: at %s and at %s", r.address, forGroup(r.group), other.defined, r.defined)
		}
	}
	s.receives = append(s.receives, r)
	return nil
}

func (r *receiving) wrongf(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func forGroup(group string) string {
	if group == "" {
		return ""
	}
	return " for the group " + group
}

// HandleOption is an option of [Command.Handle].
type HandleOption interface{ handle(r *receiving) }

// SubscribeOption is an option of [Event.Subscribe].
type SubscribeOption interface{ subscribe(r *receiving) }

// ReceiveOption is an option of [Command.Handle] and of [Event.Subscribe].
type ReceiveOption interface {
	HandleOption
	SubscribeOption
}

type receiveOption func(*receiving)

func (f receiveOption) handle(r *receiving)    { f(r) }
func (f receiveOption) subscribe(r *receiving) { f(r) }

type subscribeOption func(*receiving)

func (f subscribeOption) subscribe(r *receiving) { f(r) }

// ReadOption is an option of [Event.Read].
type ReadOption interface{ read(r *transport.Route) }

// FromOption is an option of [Event.Subscribe] and of [Event.Read].
type FromOption interface {
	SubscribeOption
	ReadOption
}

type fromOption transport.Position

func (o fromOption) subscribe(r *receiving)  { r.from = transport.Position(o) }
func (o fromOption) read(r *transport.Route) { r.From = transport.Position(o) }

type untilOption transport.Position

func (o untilOption) read(r *transport.Route) { r.Until = transport.Position(o) }

// Concurrency is how many messages a handler works on at once in one process; the default is 16. Messages of one key
// never run at once, whatever it is.
func Concurrency(n int) ReceiveOption {
	return receiveOption(func(r *receiving) {
		if r.concurrency = n; n < 1 {
			r.wrongf("Concurrency(%d): want 1 or more", n)
		}
	})
}

// HandlerTimeout is the deadline of one attempt's context; the default is 30 s.
func HandlerTimeout(d time.Duration) ReceiveOption {
	return receiveOption(func(r *receiving) {
		if r.timeout = d; d <= 0 {
			r.wrongf("HandlerTimeout(%v): want more than 0", d)
		}
	})
}

// Retries says how often a failed message is tried again: immediate times at once, then after each of the delays, then
// it goes to the dead letters. The default is 2 and 10 s, 1 m, 10 m; with a key, whose successors wait meanwhile,
// 2 and 1 s, 5 s, 30 s. Retries(0) never tries again.
func Retries(immediate int, delays ...time.Duration) ReceiveOption {
	return receiveOption(func(r *receiving) {
		if r.retries = (delivery.Retries{Set: true, Immediate: immediate, Delays: delays}); immediate < 0 {
			r.wrongf("Retries(%d): want 0 or more", immediate)
		}
	})
}

// StopKey makes a message that goes to the dead letters stop its key, for commands and events with KeyedBy: those of its
// key that come after it are not handled but follow it, as "behind" it, on all instances and across restarts. A redrive
// brings them back in their order, those that come to stand behind them meanwhile too, and with the last one the key goes
// on. Without it the key goes on at once, without the message that failed.
func StopKey() ReceiveOption { return receiveOption(func(r *receiving) { r.stopKey = true }) }

// NoKillSwitch leaves the kill switch out. With it, a subscription whose handler keeps failing because something that it
// needs is down pauses, instead of filling the dead letters, tries one message now and then, and goes on when that is
// handled: where half of at least 20 attempts within 10 s fail so, or 10 in a row over 10 s. An error says that if it
// is made by [DependencyDown], has the code [Unavailable], as that of a Call to a service that is not there has, or holds a
// [net.OpError].
func NoKillSwitch() ReceiveOption { return receiveOption(func(r *receiving) { r.noKillSwitch = true }) }

// From is where a new group, or a Read, begins in an event with the [Stream] option: [FromStart], [FromTime], or the
// position of a message; without it, with what is published from now on. A group that exists goes on where it was.
func From(p transport.Position) FromOption { return fromOption(p) }

// FromStart is the oldest message that is kept.
func FromStart() FromOption { return From(transport.Position{Start: true}) }

// FromTime is the first message accepted at or after t.
func FromTime(t time.Time) FromOption { return From(transport.Position{Time: t}) }

// Until is where a Read ends: before the message at p.
func Until(p transport.Position) ReadOption { return untilOption(p) }

// UntilTime ends a Read before the first message accepted at or after t, by the clock of the broker. A t that has passed
// means, at the most, what is stored when the Read begins; one to come is waited for.
func UntilTime(t time.Time) ReadOption { return Until(transport.Position{Time: t}) }

// Only subscribes to those events for which want is true; the others are recorded as filtered. T must be the event's.
func Only[T any](want func(T) bool) SubscribeOption {
	return subscribeOption(func(r *receiving) {
		if r.only = want; want == nil {
			r.wrongf("Only(nil): want a function")
		}
	})
}

// caller is where the user's code called the function that calls this one, as "file.go:12".
func caller() string {
	_, file, line, ok := runtime.Caller(2)
	if !ok {
		return "an unknown place"
	}
	return fmt.Sprintf("%s:%d", filepath.Base(file), line)
}
