package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// session is one connection, with the channel that everything common goes through: of the connection for publishing,
// in confirm mode, what is published; of the one for receiving, the round trips of the guard. It ends with either.
type session struct {
	conn *amqp.Connection
	out  *wire
	ch   *amqp.Channel
	born time.Time
	seen atomic.Int64 // when the last confirmed round trip began, since born

	lost chan struct{} // closed when ch has ended
	why  *amqp.Error   // once lost; nil = it was closed from this side

	sour sour

	mu     sync.Mutex
	alarm  string        // why the server reads nothing from this connection; "" = it does
	passed chan struct{} // closed when it reads again; nil = it does
}

// newSession opens the channel. The connection is closed if that fails.
func newSession(conn *amqp.Connection, out *wire, confirm bool) (*session, error) {
	s := &session{conn: conn, out: out, born: time.Now(), lost: make(chan struct{})}
	ch, err := s.channel()
	if err == nil && confirm {
		err = ch.Confirm(false)
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("open a channel: %w", err)
	}
	s.ch = ch
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	ended := ch.NotifyClose(make(chan *amqp.Error, 1))
	go s.watch(blocked, ended) // its end is lost, which the link waits for
	return s, nil
}

// watch notes what the server says besides confirming.
func (s *session) watch(blocked <-chan amqp.Blocking, ended <-chan *amqp.Error) {
	defer s.out.confirms.end()
	defer close(s.lost)
	for {
		select {
		case b, open := <-blocked:
			if !open {
				blocked = nil
				continue
			}
			s.block(b)
		case s.why = <-ended:
			s.block(amqp.Blocking{})
			return
		}
	}
}

func (s *session) block(b amqp.Blocking) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case b.Active && s.passed == nil:
		s.alarm, s.passed = b.Reason, make(chan struct{})
	case !b.Active && s.passed != nil:
		close(s.passed)
		s.alarm, s.passed = "", nil
	}
}

// blocked says why the server reads nothing, and is closed when it reads again; nil = it does.
func (s *session) blocked() (reason string, passed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alarm, s.passed
}

// errBlocked is an alarm in words.
func errBlocked(reason string) error {
	return fmt.Errorf("blocked by the broker: %s: it takes nothing until that is over, see rabbitmqctl status", reason)
}

// clear waits until there is room to publish and the server reads.
func (s *session) clear(ctx context.Context) error {
	for {
		reason, passed := s.blocked()
		room := s.out.full()
		if passed == nil && room == nil {
			return nil
		}
		wait := room
		if passed != nil {
			wait = passed
		}
		select {
		case <-wait:
		case <-ctx.Done():
			if passed != nil {
				return fmt.Errorf("%w: %w", context.Cause(ctx), errBlocked(reason))
			}
			return context.Cause(ctx)
		}
	}
}

// idle reports whether clear would not wait.
func (s *session) idle() bool {
	_, passed := s.blocked()
	return passed == nil && s.out.full() == nil
}

// alive reports whether the session has not ended.
func (s *session) alive() bool {
	select {
	case <-s.lost:
		return false
	default:
		return true
	}
}

// beat is one confirmed round trip.
func (s *session) beat() {
	begin := time.Since(s.born)
	if s.ch.Qos(1, 0, false) == nil {
		s.seen.Store(int64(begin))
	}
}

// valid reports whether the last confirmed round trip is recent enough that nobody else has our deliveries.
func (s *session) valid() bool {
	return s.alive() && time.Since(s.born)-time.Duration(s.seen.Load()) < Lease
}

// reason is why the session has ended, in words.
func (s *session) reason() error {
	<-s.lost
	if s.why == nil {
		return errors.New("the connection was closed")
	}
	return fmt.Errorf("the connection was lost: %w", s.why)
}

// transact does f on a channel of its own, which the server closes where it refuses something.
func (s *session) transact(f func(ch *amqp.Channel) error) error {
	ch, err := s.channel()
	if err != nil {
		return err
	}
	err = f(ch)
	if closing := ch.Close(); err == nil {
		err = closing
	}
	return err
}

// channel opens a channel. A connection has only so many.
func (s *session) channel() (*amqp.Channel, error) {
	ch, err := s.conn.Channel()
	if !errors.Is(err, amqp.ErrChannelMax) {
		return ch, err
	}
	return nil, fmt.Errorf("%w: %w", transport.ErrNotSent, &transport.Error{
		Code: transport.ResourceExhausted, Cause: err,
		Message: fmt.Sprintf("all %d channels of the connection are in use: receive fewer partitions and groups with one "+
			"broker, or raise the server's channel_max", s.conn.Config.ChannelMax),
	})
}

// close says good-bye, if the server listens.
func (s *session) close() {
	_ = s.conn.CloseDeadline(time.Now().Add(closeLimit)) // closed already, or deaf, is fine
	_ = s.out.Close()
	if s.ch != nil {
		<-s.lost
	}
}
