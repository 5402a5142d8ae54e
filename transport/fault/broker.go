package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// overtaking is how long a message waits at the most for another one to overtake it.
const overtaking = 50 * time.Millisecond

// Broker returns b with the faults of send and receive, for the service that lives on this side. Closing it closes b.
// It is no [transport.Operator]; keep b for that.
func (i *Injector) Broker(b transport.Broker, service string) transport.Broker {
	return &broker{Broker: b, injector: i, service: service}
}

type broker struct {
	transport.Broker
	injector *Injector
	service  string

	mu   sync.Mutex
	held chan struct{} // closed once another message has overtaken the one that waits; nil = none waits
}

func (b *broker) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	if b.injector.idle() {
		return b.Broker.Send(ctx, batch)
	}
	strikes := make([]strike, len(batch))
	receipts := make([]transport.Receipt, len(batch))
	var delay time.Duration
	for n, e := range batch {
		strikes[n] = b.injector.strike(Send, b.service, e.Address)
		delay = max(delay, strikes[n].delay)
	}
	if !sleep(ctx, delay) {
		for n := range receipts {
			receipts[n].Err = fmt.Errorf("%w: %w", transport.ErrNotSent, ctx.Err())
		}
		return receipts
	}
	b.send(ctx, batch, strikes, receipts)
	for n, s := range strikes {
		switch s.verb() {
		case Fail, Cut:
			receipts[n].Err = fmt.Errorf("fault %s: %w", s.rule.ID(), transport.ErrNotSent)
		case Lose:
			receipts[n] = transport.Receipt{Groups: -1, Err: fmt.Errorf("fault %s: %w", s.rule.ID(), errUnknown)}
		}
	}
	return receipts
}

// send hands on what is to be stored: most at once, then the doubles, then what others overtake.
func (b *broker) send(ctx context.Context, batch []*transport.Envelope, strikes []strike, receipts []transport.Receipt) {
	var now, twice, late []int // indices into batch
	for n, s := range strikes {
		switch s.verb() {
		case Fail, Cut:
		case Lose:
			if s.coin {
				now = append(now, n)
			}
		case Reorder:
			late = append(late, n)
		case Double:
			twice = append(twice, n)
			now = append(now, n)
		default:
			now = append(now, n)
		}
	}
	b.pass(ctx, batch, now, receipts)
	b.pass(ctx, batch, twice, make([]transport.Receipt, len(batch)))
	if len(late) > 0 && len(now) == 0 {
		b.hold(ctx)
	}
	b.pass(ctx, batch, late, receipts)
}

var errUnknown = errors.New("the connection was lost before the broker confirmed: the outcome is unknown")

// pass sends some of a batch and stores their receipts.
func (b *broker) pass(ctx context.Context, batch []*transport.Envelope, which []int, receipts []transport.Receipt) {
	if len(which) == 0 {
		return
	}
	part := make([]*transport.Envelope, len(which))
	for k, n := range which {
		part[k] = batch[n]
	}
	for k, r := range b.Broker.Send(ctx, part) {
		receipts[which[k]] = r
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held != nil {
		close(b.held)
		b.held = nil
	}
}

// hold waits until another message has been sent. If one waits already, it does not: it overtakes that one.
func (b *broker) hold(ctx context.Context) {
	b.mu.Lock()
	if b.held != nil {
		b.mu.Unlock()
		return
	}
	held := make(chan struct{})
	b.held = held
	b.mu.Unlock()
	t := time.NewTimer(overtaking)
	defer t.Stop()
	select {
	case <-held:
	case <-t.C:
	case <-ctx.Done():
	}
}

// Receive passes deliveries on. A cut sets the credit that the driver sees to 0, so that nothing has to be connected
// again, and returns whatever is in somebody's hands. The driver sees another credit a moment after it was set; what it
// delivers beyond it in that moment is returned too. What another has by now is as little in hand here as at the driver:
// else all that comes would be returned at once, and come again, until that is settled.
func (b *broker) Receive(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	theirs, ours := r.Credit, transport.NewCredit(0)
	if theirs == nil {
		theirs = transport.NewCredit(256)
	}
	r.Credit = ours
	address := r.Channel.Address
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		b.lend(address, theirs, ours, over)
	}()
	defer func() {
		close(over)
		<-stopped
	}()
	var out hand
	return b.Broker.Receive(ctx, r, func(d *transport.Delivery) {
		settle := d.Settle
		credit, _ := theirs.Now()
		if b.injector.strike(Receive, b.service, address).rule != nil || !out.take(d, credit) {
			settle(transport.Return)
			return
		}
		d.Settle = func(o transport.Outcome) {
			out.leave(d)
			if b.injector.strike(Receive, b.service, address).rule != nil {
				o = transport.Return
			}
			settle(o)
		}
		take(d)
	})
}

// hand is what was delivered and not settled. The zero hand is empty.
type hand struct {
	mu  sync.Mutex
	all map[*transport.Delivery]bool
}

// take notes d unless there are credit others, not counting those that are revoked.
func (h *hand) take(d *transport.Delivery, credit int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) >= credit {
		maps.DeleteFunc(h.all, func(d *transport.Delivery, _ bool) bool { return revoked(d) })
	}
	if len(h.all) >= credit {
		return false
	}
	if h.all == nil {
		h.all = make(map[*transport.Delivery]bool)
	}
	h.all[d] = true
	return true
}

func (h *hand) leave(d *transport.Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, d)
}

func revoked(d *transport.Delivery) bool {
	select {
	case <-d.Revoked:
		return true
	default:
		return false
	}
}

// lend keeps ours equal to theirs, or 0 while a cut lasts.
func (b *broker) lend(address string, theirs, ours *transport.Credit, over <-chan struct{}) {
	for {
		credit, changed := theirs.Now()
		rules, now := b.injector.rules.Load(), time.Now()
		var end <-chan time.Time
		for _, a := range rules.active {
			if a.concerns(Receive, b.service, address) && !a.over(now) {
				credit = 0
				if a.For > 0 {
					end = time.After(a.until().Sub(now)) // the first of several; the loop looks again
				}
			}
		}
		ours.Set(credit)
		select {
		case <-changed:
		case <-rules.changed:
		case <-end:
		case <-over:
			return
		}
	}
}
