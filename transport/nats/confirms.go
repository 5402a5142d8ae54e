package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	natsio "github.com/nats-io/nats.go"

	"github.com/parley-io/parley/transport"
)

// confirms matches the server's answers with what waits for them. Every message or batch that wants an answer gets a
// reply subject of its own, which is never used again: an answer that comes too late finds nobody.
type confirms struct {
	b     *Broker
	inbox string
	in    chan *natsio.Msg // confirmations and advisories in the order in which the server wrote them

	mu   sync.Mutex
	last uint64
	open map[uint64]*flight

	denial error                   // what the server last said that we may not do; nil after a reconnection
	denied time.Time               // when it said so
	tell   context.CancelCauseFunc // who waits to hear of that; nil = nobody
}

// flight is a message or an atomic batch on its way.
type flight struct {
	lane  *lane
	items []*item
	batch bool
	begun time.Time // of a single message: when it was sent first
	since time.Time // when it was sent last
}

// confirmsBuffer is far more than can be on its way: what does not fit would be lost and its outcome unknown.
const confirmsBuffer = 1 << 16

var (
	errLost   = errors.New("outcome unknown: the connection was lost before the confirmation came")
	errSilent = fmt.Errorf("outcome unknown: no confirmation within %v: the server may have stopped writing", answerLimit)
)

func newConfirms(b *Broker) *confirms {
	return &confirms{
		b: b, inbox: natsio.NewInbox() + ".", in: make(chan *natsio.Msg, confirmsBuffer), open: make(map[uint64]*flight),
	}
}

func (c *confirms) subscribe() error {
	for _, subject := range []string{c.inbox + "*", createdAdvisory + ">", deletedAdvisory + ">"} {
		if _, err := c.b.nc.ChanSubscribe(subject, c.in); err != nil {
			return err
		}
	}
	return nil
}

// dispatch hands out what comes, until the Broker is closed.
func (c *confirms) dispatch() {
	for {
		select {
		case <-c.b.stop:
			return
		case m := <-c.in:
			if c.b.audience.heard(m.Subject) {
				continue
			}
			if f := c.take(strings.TrimPrefix(m.Subject, c.inbox)); f != nil {
				answer, err := parse(m)
				f.lane.land(f, answer, err)
			}
		}
	}
}

// expect notes a flight and returns the subject of its answer.
func (c *confirms) expect(f *flight) (reply string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	f.since = time.Now()
	c.open[c.last] = f
	return c.inbox + strconv.FormatUint(c.last, 36)
}

// take ends the waiting for an answer; nil = nobody waits.
func (c *confirms) take(token string) *flight {
	n, err := strconv.ParseUint(token, 36, 64)
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.open[n]
	delete(c.open, n)
	return f
}

// drop is take for a reply subject whose message was not written.
func (c *confirms) drop(reply string) bool { return c.take(strings.TrimPrefix(reply, c.inbox)) != nil }

// lost ends all waiting: answers do not come over another connection, and our rights may be others there.
func (c *confirms) lost() {
	c.mu.Lock()
	c.denial = nil
	c.mu.Unlock()
	c.end(errLost, func(*flight) bool { return true })
}

// expire ends the waiting for what was sent before t.
func (c *confirms) expire(t time.Time) {
	c.end(errSilent, func(f *flight) bool { return f.since.Before(t) })
}

// forbidden ends the waiting for what the server says that we may not publish. It stores nothing of that.
func (c *confirms) forbidden(err error) {
	if !errors.Is(err, natsio.ErrPermissionViolation) {
		return
	}
	refused := notAllowed(err)
	c.mu.Lock()
	c.denial, c.denied = refused, time.Now()
	if c.tell != nil {
		c.tell(refused)
	}
	c.mu.Unlock()
	c.end(refused, func(f *flight) bool {
		for _, i := range f.items {
			if strings.Contains(err.Error(), strconv.Quote(i.msg.Subject)) {
				return true
			}
		}
		return false
	})
}

// notAllowed is what the server says that we may not do.
func notAllowed(err error) error {
	return fmt.Errorf("%w: %w", transport.ErrRefused, &transport.Error{
		Code: transport.PermissionDenied, Cause: err, NotSent: true,
		Message: "this user may not do that: give it the right in the permissions of the server's configuration",
	})
}

// whenDenied lets tell hear of what we may not do, nil = nobody.
func (c *confirms) whenDenied(tell context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell = tell
}

// denied is the server's last word on our rights, if it is about one of these names and not from long ago; else nil.
func (b *Broker) denied(names ...string) error { return b.confirms.denialOf(names) }

func (c *confirms) denialOf(names []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.denial == nil || time.Since(c.denied) > answerLimit {
		return nil
	}
	words := strings.FieldsFunc(c.denial.Error(), func(r rune) bool { return strings.ContainsRune(` ".:`, r) })
	for _, word := range words {
		if slices.Contains(names, strings.TrimPrefix(word, "KV_")) { // a bucket's stream
			return c.denial
		}
	}
	return nil
}

func (c *confirms) end(err error, which func(*flight) bool) {
	var ended []*flight
	c.mu.Lock()
	for n, f := range c.open {
		if which(f) {
			ended = append(ended, f)
			delete(c.open, n)
		}
	}
	c.mu.Unlock()
	for _, f := range ended {
		f.lane.land(f, confirmation{}, err)
	}
}
