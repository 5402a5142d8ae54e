package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// parcel is an envelope on its way.
type parcel struct {
	exchange  string
	key       string
	message   message
	channel   transport.Channel
	delayed   bool
	mandatory bool // it is an error if no queue takes it

	published    time.Time
	session      *session
	confirmation *confirmation
	err          error // it was not sent; then there is no confirmation
}

// Send implements [transport.Broker].
func (b *Broker) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	receipts := make([]transport.Receipt, len(batch))
	if len(batch) == 0 {
		return receipts
	}
	fail := func(n int, err error) {
		receipts[n] = transport.Receipt{Err: fmt.Errorf("rabbitmq: send %s to %s: %w", batch[n].ID, batch[n].Address, err), Groups: -1}
	}
	if err := b.begin(); err != nil {
		for n := range batch {
			fail(n, fmt.Errorf("%w: %w", transport.ErrNotSent, err))
		}
		return receipts
	}
	defer b.users.Done()
	// All of a batch goes over one connection: once that is lost, nothing more is sent, so that nothing of a key overtakes
	// what was lost.
	s, away := b.departing()
	parcels := make([]parcel, len(batch))
	for n, e := range batch {
		p := &parcels[n]
		if p.err = b.address(e, p); p.err == nil {
			p.err = away
		}
		if p.err == nil {
			p.err = s.publish(ctx, p)
		}
	}
	for n := range parcels {
		p := &parcels[n]
		if err := b.outcome(ctx, p); err != nil {
			fail(n, err)
			continue
		}
		receipts[n].Groups = -1
		if p.channel.Pattern == transport.Queue {
			receipts[n].Groups = 1
		}
	}
	return receipts
}

// departing is the session that publishes, or what a Send is told while there is none.
func (b *Broker) departing() (*session, error) {
	s, why, _ := b.outward.now()
	if s == nil || !s.alive() {
		return nil, errAway(why)
	}
	return s, nil
}

// address finds out where e goes, and makes its message.
func (b *Broker) address(e *transport.Envelope, p *parcel) (err error) {
	if err := e.Validate(); err != nil {
		return err
	}
	if size := e.Size(); size > b.features.MaxBytes {
		return fmt.Errorf("%w: %d bytes: want at most %d", transport.ErrRefused, size, b.features.MaxBytes)
	}
	b.mu.Lock()
	c, ok := b.channels[e.Address]
	b.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: the channel is not declared on this broker: Declare it first", transport.ErrRefused)
	}
	if p.message, err = encode(e); err != nil {
		return err
	}
	now, group := time.Now(), ""
	if c.Pattern == transport.Topic {
		group = e.Group
	}
	if c.Pattern == transport.Stream {
		stamp(&p.message, e, now)
	}
	partition := c.Partition(e.Key)
	p.channel, p.mandatory = c, c.Pattern != transport.Topic
	p.exchange, p.key = b.names.exchange(c.Address), key(partition, group)
	if wait := e.NotBefore.Sub(now); wait > 0 {
		if wait > MaxDelay {
			return fmt.Errorf("%w: not before %v: want at most %v from now", transport.ErrRefused, e.NotBefore, MaxDelay)
		}
		b.postpone(p, partition, group, now, wait)
	}
	return b.denied.check(p.exchange)
}

// publish gives p to the connection, in order; its confirmation comes later.
func (s *session) publish(ctx context.Context, p *parcel) (err error) {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx))
	}
	if err := s.clear(ctx); err != nil {
		return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
	}
	p.session, p.published = s, time.Now()
	if p.confirmation, err = s.put(p.exchange, p.key, p.mandatory, &p.message); err != nil {
		return errAway(err)
	}
	return nil
}

// put writes what publishes m, or says that nothing can be published any more. The library notes that the server has
// ended the channel before it answers, so that nothing is written after that answer.
func (s *session) put(exchange, key string, mandatory bool, m *message) (c *confirmation, err error) {
	channel := s.out.channel()
	err = s.out.put(func(b []byte) []byte {
		if s.ch.IsClosed() {
			return b
		}
		var number string
		if c, number = s.out.confirms.expect(); c == nil {
			return b
		}
		if !mandatory {
			number = ""
		}
		b = appendPublish(b, channel, exchange, key, mandatory)
		return appendContent(b, channel, s.out.limit, number, m)
	})
	if err == nil && c == nil {
		err = amqp.ErrClosed
	}
	return c, err
}

// outcome waits for what becomes of p.
func (b *Broker) outcome(ctx context.Context, p *parcel) error {
	if p.err != nil {
		return p.err
	}
	known := p.confirmation.done
	var err error
	select {
	case <-known:
	default:
		select {
		case <-known:
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-b.dead:
			err = transport.ErrClosed
		}
	}
	switch {
	case err != nil:
		if reason, passed := p.session.blocked(); passed != nil {
			err = fmt.Errorf("%w: %w", err, errBlocked(reason))
		}
		return fmt.Errorf("outcome unknown: %w", err)
	case p.confirmation.returned:
		return b.restore(ctx, p)
	case p.confirmation.acked:
		p.session.took(p)
		return nil
	case p.session.ch.IsClosed():
		return b.lost(ctx, p)
	}
	if p.channel.RetainBytes == 0 { // else it may well be full
		p.session.refused(p, time.Now())
	}
	if p.channel.Pattern == transport.Queue && !p.delayed {
		return fmt.Errorf("%w: the broker did not take it: the queue is full, or has no leader", transport.ErrNotSent)
	}
	return errors.New("outcome unknown: the broker did not take it everywhere: a queue is full, or has no leader")
}

// lost says what became of a message whose channel ended before its confirmation came. Also where the server ended it
// because of the exchange, what was published before that may be stored.
func (b *Broker) lost(ctx context.Context, p *parcel) error {
	b.noteDenied(p)
	why := p.session.why
	if about(why, p.exchange) && why.Code == amqp.NotFound {
		if err := b.declareAgain(ctx, p); err != nil {
			return fmt.Errorf("outcome unknown: %w; and it cannot be declared again: %w", p.session.reason(), err)
		}
	}
	return fmt.Errorf("outcome unknown: %w before the confirmation came", p.session.reason())
}

// noteDenied notes that the channel has ended because p may not be published, if that is why.
func (b *Broker) noteDenied(p *parcel) {
	if !p.session.ch.IsClosed() {
		return
	}
	<-p.session.lost
	if why := p.session.why; about(why, p.exchange) && why.Code == amqp.AccessRefused {
		b.denied.note(p.exchange, why)
	}
}

// restore declares again what a returned message did not find, and says so: nothing of it is stored.
func (b *Broker) restore(ctx context.Context, p *parcel) error {
	err := b.declareAgain(ctx, p)
	if err != nil {
		return fmt.Errorf("unroutable: no queue takes it, and it cannot be declared again: %w", refusal(err))
	}
	return fmt.Errorf("%w: unroutable: no queue took it, as somebody has deleted it; now it is declared again", transport.ErrNotSent)
}

// repair is when something was declared again, and what came of it.
type repair struct {
	when time.Time
	err  error
}

// declareAgain does so once for all messages that find out at the same time.
func (b *Broker) declareAgain(ctx context.Context, p *parcel) error {
	select {
	case b.repairing <- struct{}{}:
		defer func() { <-b.repairing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if last := b.repaired[p.exchange]; p.published.Before(last.when) {
		return last.err
	}
	select {
	case <-time.After(deletionTime):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := b.transact(ctx, p.channel.Address, func(ch *amqp.Channel) error {
		if p.delayed {
			if err := b.layLadder(ch); err != nil {
				return err
			}
		}
		if err := b.lay(ch, p.channel); err != nil {
			return err
		}
		return b.settle(ch)
	})
	b.repaired[p.exchange] = repair{time.Now(), err}
	return err
}
