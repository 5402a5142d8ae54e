package transport

import (
	"context"
	"errors"
	"time"
)

// What a Receipt's error means for repeating. Any error that wraps neither means that the outcome is unknown: repeat
// the same envelope, and a broker with a dedupe window keeps one.
var (
	// ErrNotSent means that the message is certainly not stored. It may be repeated.
	ErrNotSent = errors.New("not sent")
	// ErrRefused means that the message never will be stored as it is: its size, the sender's rights, an undeclared
	// channel. Repeating is useless.
	ErrRefused = errors.New("refused")
	// ErrClosed is what every method of a closed Broker or Caller answers, wrapped together with ErrNotSent where a
	// message was given.
	ErrClosed = errors.New("closed")
)

// Broker stores messages and hands them to receivers. All methods may be called concurrently.
type Broker interface {
	// Features is constant for the life of the Broker.
	Features() Features
	// Declare creates what is missing. It is idempotent, also when several processes declare at once. A channel that
	// exists with another Pattern, Partitions or retention is an error that wraps ErrRefused and names both forms, and
	// nothing is changed. An error that wraps ErrNotSent means that the broker could not be reached: declare again.
	Declare(ctx context.Context, channels []Channel) error
	// Send returns one receipt per envelope, in their order, when all outcomes are known or ctx is done. A nil
	// Receipt.Err means: stored as Features.Survives says. Messages of one Key are stored in the order of the batch.
	// Send called from many goroutines pipelines: their confirmations are in flight together. The driver neither
	// changes nor keeps the envelopes after it returns.
	Send(ctx context.Context, batch []*Envelope) []Receipt
	// Receive delivers to take until ctx is done; then it stops fetching and returns nil once every delivery that it
	// handed out is settled. A lost connection is not an error: Receive goes on when it is back. It returns an error
	// where going on is useless (rights, a channel declared differently, the broker closed).
	Receive(ctx context.Context, r Route, take func(*Delivery)) error
	// Close ends all Receives, lets running Sends finish until ctx is done, and frees everything. Closing twice is fine.
	Close(ctx context.Context) error
}

// Receipt is the outcome of sending one envelope.
type Receipt struct {
	Err      error
	Groups   int    // registered receivers at acceptance; 0 = nobody subscribes, -1 = this broker cannot tell
	Position string // opaque, a [Position.At] of the channel; "" where the broker has none
}

// Features says what a broker can do. It has no field for what every broker must do.
type Features struct {
	MaxBytes int           // body and headers of one message; see [Envelope.Size]
	Dedupe   time.Duration // window in which a repeated (ID, Copy, Group) is stored once; 0 = none
	Delay    time.Duration // longest NotBefore from now that the broker itself carries; 0 = none
	Streams  bool          // Stream channels, positions, replay
	Audience bool          // Receipt.Groups is known
	Survives string        // what a nil Receipt.Err survives: "nothing" (memory), "process", "power" or "node"
}

// Operator is what people need beside the flow of messages. Each driver's broker implements it too.
type Operator interface {
	// Backlog is how many messages wait for a group, those in flight included where the broker counts them, and when
	// the oldest was accepted (zero when unknown or nothing waits).
	Backlog(ctx context.Context, c Channel, group string) (waiting int64, oldest time.Time, err error)
	// RemoveGroup forgets a group and what waits for it. Removing a group that does not exist is fine.
	RemoveGroup(ctx context.Context, c Channel, group string) error
	// CancelDelayed removes a message that waits for its NotBefore. It answers an error wrapping
	// [errors.ErrUnsupported] where the broker has no means, and [ErrNotFound] when nothing waits under that id.
	CancelDelayed(ctx context.Context, c Channel, id string) error
}

// ErrNotFound is what an Operator answers about a thing that does not exist.
var ErrNotFound = errors.New("not found")
