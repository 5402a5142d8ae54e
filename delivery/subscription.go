package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-io/parley/transport"
)

// Defaults of a [Subscription].
const (
	DefaultConcurrency = 16
	DefaultTimeout     = 30 * time.Second
	DefaultDrain       = 20 * time.Second
)

// MaxConcurrency is the largest Subscription.Concurrency.
const MaxConcurrency = 4096

// Subscription is a channel, a receiver of it, and how its messages are handled.
type Subscription struct {
	Channel transport.Channel
	// Group is the subscriber group; required on a Topic or Stream. A Queue has one group without a name: there, Group
	// is only what the ledger calls the receiver, "" = the channel's address.
	Group   string
	Service string             // who handles, for dead letters; "" = not said
	Style   string             // "command" or "event", for the ledger
	From    transport.Position // where a new group begins in a Stream

	Concurrency int           // handlers at once; 0 = 16
	Timeout     time.Duration // deadline of one handler run; 0 = 30 s
	Drain       time.Duration // how long running handlers have once Run's context is done; 0 = 20 s
	Retries     Retries       // the zero value = DefaultRetries

	// StopKey makes a message of a partitioned channel that goes to the dead letters stop its key: those of its key that
	// come after it are not handled but follow it there, with [DeadLetter.Behind] saying so, on every instance and
	// across restarts. Redriven, they are handled in their order, the oldest first; one that comes back before its turn
	// follows again. What arrives meanwhile is behind those that are not back, and follows too; with the last of them
	// the key goes on. See [StoppedKeys] and [ReleaseKey].
	StopKey bool

	// NoKillSwitch leaves the kill switch out. With it, a subscription whose attempts keep failing because a dependency is
	// down, as [IsDependencyDown] understands their errors, pauses before its messages go to the dead letters: where half
	// of at least 20 attempts within 10 s fail so, or 10 in a row over 10 s. Those that fail while it is paused are kept and
	// not counted as attempts. After 5 s, and then after up to a minute, one message is tried; unless that fails in the
	// same way, all go on.
	NoKillSwitch bool
	// Changed, if not nil, is called when the subscription pauses, goes on or gets another concurrency. It must not block
	// nor call the Consumer.
	Changed func()

	// Wants says whether the group wants a message; nil = all. An unwanted one is recorded as filtered and settled. An
	// error or a panic is a failed attempt. It is asked before the first attempt of each copy.
	Wants func(*transport.Envelope) (bool, error)
	// Handle handles a message; nil means that it is handled, also when that comes late. Its context carries the values
	// of Run's context and ends with the deadline, when another instance takes the partition over, and when the drain is
	// over; [context.Cause] tells which. A handler that ignores its context keeps its worker, and fails only when it
	// returns. It must not change the envelope.
	Handle func(context.Context, *transport.Envelope) error
}

// Retries says how often a failed message is tried again.
type Retries struct {
	Set       bool            // the other fields mean what they say, also when they are zero: no retries
	Immediate int             // times at once, after a pause of at most 50 ms
	Delays    []time.Duration // and then after each of these, with up to 10% of jitter added
}

// DefaultRetries are 2 immediate ones and then 10 s, 1 m and 10 m. A keyed message on a partitioned channel keeps its
// successors waiting, so there they are 2 and 1 s, 5 s, 30 s.
func DefaultRetries(keyed bool) Retries {
	delays := []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute}
	if keyed {
		delays = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}
	}
	return Retries{Set: true, Immediate: 2, Delays: delays}
}

// Attempts is how often a message is tried at the most.
func (r Retries) Attempts() int { return 1 + r.Immediate + len(r.Delays) }

// setDefaults fills in what is zero.
func (s *Subscription) setDefaults() {
	if s.Concurrency == 0 {
		s.Concurrency = DefaultConcurrency
	}
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if s.Drain == 0 {
		s.Drain = DefaultDrain
	}
	if s.Retries.Immediate > 0 || len(s.Retries.Delays) > 0 {
		s.Retries.Set = true
	}
}

// check reports everything that is wrong with s on a broker, in one error.
func (s *Subscription) check(f transport.Features) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := s.Channel.Validate(); err != nil {
		errs = append(errs, err)
	}
	if s.Group != "" || s.Channel.Pattern != transport.Queue {
		if err := transport.CheckGroup(s.Group); err != nil {
			bad("group: %w", err)
		}
	}
	if s.Channel.Pattern == transport.Stream && !f.Streams {
		bad("it is a stream, which this broker does not have")
	}
	if s.Handle == nil {
		bad("no handler")
	}
	if s.StopKey && s.Channel.Partitions == 0 {
		bad("StopKey: the channel keeps no order by key: it has no partitions")
	}
	if s.StopKey && !f.Streams {
		bad("StopKey: which keys are stopped is kept in a stream, which this broker does not have")
	}
	if s.Concurrency < 0 || s.Concurrency > MaxConcurrency {
		bad("concurrency %d: want 1 to %d, or 0 for %d", s.Concurrency, MaxConcurrency, DefaultConcurrency)
	}
	if s.Timeout < 0 || s.Drain < 0 {
		bad("handler timeout %v and drain %v: want no negative ones", s.Timeout, s.Drain)
	}
	if s.Retries.Immediate < 0 {
		bad("%d immediate retries: want 0 or more", s.Retries.Immediate)
	}
	for _, d := range s.Retries.Delays {
		if d <= 0 {
			bad("retry delay %v: want more than 0", d)
		}
		if f.Delay > 0 && d > f.Delay && s.Channel.Partitions == 0 {
			bad("retry delay %v: this broker carries delays of up to %v", d, f.Delay)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("receiving %s: %w", s.Channel.Address, errors.Join(errs...))
	}
	return nil
}

// receiver is the name of s in the ledger and in dead letters.
func (s *Subscription) receiver() string {
	if s.Group != "" {
		return s.Group
	}
	return s.Channel.Address
}

// group is the name of s on the broker.
func (s *Subscription) group() string {
	if s.Channel.Pattern == transport.Queue {
		return ""
	}
	return s.Group
}

// ordered reports whether e is handled in order with others of its key.
func (s *Subscription) ordered(e *transport.Envelope) bool {
	return s.Channel.Partitions > 0 && e.Key != ""
}

// creditFor is how many unsettled deliveries a concurrency allows at least: enough to keep the handlers busy while outcomes
// are confirmed. See pace for more.
func creditFor(concurrency int) int { return max(64, 8*concurrency) }
