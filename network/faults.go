package network

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/presence"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/fault"
)

// ErrNoFaults is what [SetFaults] and [Faults] answer about a network on which nothing fails on purpose.
var ErrNoFaults = errors.New("faults are for the network of a running parley dev or parley demo")

// Fault is a rule that is set on a network.
type Fault struct {
	Rule  fault.Rule `json:"rule"`
	Since time.Time  `json:"since"` // when it was set, by the clock of the process that set it
}

// Over reports whether the time of f has ended.
func (f Fault) Over(now time.Time) bool { return f.Rule.For > 0 && now.Sub(f.Since) >= f.Rule.For }

// Faults are the faults of a network that are set and not over, as far as this process knows.
func Faults(n *parley.Network) ([]Fault, error) {
	d, ok := n.Faults.(*faults)
	if !ok {
		return nil, fmt.Errorf("faults of %s: %w", n.Name, ErrNoFaults)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return present(d.faults, time.Now()), nil
}

// SetFaults replaces the faults of a network, in every process on it; no rules end them all. It returns when they hold
// in this process; they reach the others as fast as a message does. A rule that was set already keeps its Since.
func SetFaults(ctx context.Context, n *parley.Network, rules []fault.Rule) error {
	d, ok := n.Faults.(*faults)
	if !ok {
		return fmt.Errorf("set faults on %s: %w", n.Name, ErrNoFaults)
	}
	var errs []error
	for _, r := range rules {
		errs = append(errs, r.Validate())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("set faults on %s: %w", n.Name, err)
	}
	if err := d.set(ctx, rules); err != nil {
		return fmt.Errorf("set faults on %s: %w", n.Name, err)
	}
	return nil
}

// faultsChannel is the stream of the faults. Each record holds them all, so only the newest counts.
func faultsChannel() transport.Channel {
	return transport.Channel{Address: "parley.faults", Pattern: transport.Stream, Partitions: 1, RetainBytes: 1 << 20}
}

// faultsRecord is a record of that stream.
type faultsRecord struct {
	Format int     `json:"v"`
	Faults []Fault `json:"faults"`
}

const faultsFormat = 1

// faults are the faults of a network: the injector that strikes, and the stream that tells it when.
type faults struct {
	*fault.Injector
	broker transport.Broker
	source string

	mu      sync.Mutex
	last    string // the ID of the newest record when this process began; "" = it has been read
	faults  []Fault
	awaited map[string]chan struct{} // by message ID: closed when that record has come
	news    chan struct{}            // closed when another record has come
	over    chan struct{}            // closed when none will come
}

// disturb gives faults to the clients of n, reads those that are set, and follows them until n is closed.
func disturb(ctx context.Context, n *parley.Network, source string) error {
	if err := delivery.Declare(ctx, n.Messages, []transport.Channel{faultsChannel()}); err != nil {
		return fmt.Errorf("declare %s: %w", faultsChannel().Address, err)
	}
	d := &faults{Injector: fault.New(), broker: n.Messages, source: source,
		awaited: make(map[string]chan struct{}), news: make(chan struct{}), over: make(chan struct{})}
	n.Faults = d
	last, err := presence.Last(ctx, d.broker, faultsChannel(), time.Now())
	if err != nil {
		return fmt.Errorf("read %s: %w", faultsChannel().Address, err)
	}
	known := d.news
	d.last = last
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() {
		defer close(d.over)
		// An error ends the faults' changes here, and SetFaults says so; messages are as they would be.
		_ = d.broker.Receive(life, transport.Route{Channel: faultsChannel(), From: transport.Position{Start: true}}, d.take)
	})
	running.Go(func() { d.apply(life) })
	n.OnClose = append(n.OnClose, func(context.Context) error {
		stop()
		running.Wait()
		return nil
	})
	if last == "" {
		return nil
	}
	select {
	case <-known:
		return nil
	case <-d.over:
		return fmt.Errorf("read %s: %w", faultsChannel().Address, transport.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("read %s: %w", faultsChannel().Address, context.Cause(ctx))
	}
}

// set stores rules and waits until they have come back.
func (d *faults) set(ctx context.Context, rules []fault.Rule) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	now := time.Now()
	record := faultsRecord{Format: faultsFormat, Faults: []Fault{}}
	d.mu.Lock()
	before := present(d.faults, now)
	d.mu.Unlock()
	for _, r := range rules {
		f := Fault{Rule: r, Since: now}
		for _, old := range before {
			if old.Rule.ID() == r.ID() {
				f.Since = old.Since
			}
		}
		record.Faults = append(record.Faults, f)
	}
	body, err := json.Marshal(record)
	if err != nil {
		return err
	}
	e := &transport.Envelope{ID: id.String(), Source: d.source, Address: faultsChannel().Address, Time: now, Body: body}
	back := make(chan struct{})
	d.mu.Lock()
	d.awaited[e.ID] = back
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.awaited, e.ID)
	}()
	if err := delivery.Send(ctx, d.broker, []*transport.Envelope{e})[0].Err; err != nil {
		return err
	}
	select {
	case <-back:
		return nil
	case <-d.over:
		return transport.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("wait until they hold: %w", context.Cause(ctx))
	}
}

func (d *faults) take(delivered *transport.Delivery) {
	defer delivered.Settle(transport.Done)
	var r faultsRecord
	if err := json.Unmarshal(delivered.Envelope.Body, &r); err != nil || r.Format != faultsFormat {
		r.Faults = nil // of another version of Parley: better none than wrong ones
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != "" && d.last != delivered.Envelope.ID {
		return // it holds no more
	}
	d.last, d.faults = "", r.Faults
	d.inject(time.Now())
	close(d.news)
	d.news = make(chan struct{})
	if back, ok := d.awaited[delivered.Envelope.ID]; ok {
		close(back)
		delete(d.awaited, delivered.Envelope.ID)
	}
}

// apply ends each fault when its time is over, also where it was learned of late, until ctx is done.
func (d *faults) apply(ctx context.Context) {
	for {
		d.mu.Lock()
		now := time.Now()
		d.inject(now)
		news, next := d.news, nextEnd(d.faults, now)
		d.mu.Unlock()
		var over <-chan time.Time
		if next > 0 {
			over = time.After(next)
		}
		select {
		case <-over:
		case <-news:
		case <-ctx.Done():
			return
		}
	}
}

// inject gives the injector what is not over; d.mu is held.
func (d *faults) inject(now time.Time) {
	var rules []fault.Rule
	for _, f := range present(d.faults, now) {
		rules = append(rules, f.Rule)
	}
	_ = d.Injector.Set(rules) // valid: their text was parsed
}

// present are those faults that are not over.
func present(faults []Fault, now time.Time) []Fault {
	var rest []Fault
	for _, f := range faults {
		if !f.Over(now) {
			rest = append(rest, f)
		}
	}
	return rest
}

// nextEnd is how long it takes until the next fault is over; 0 = none will be.
func nextEnd(faults []Fault, now time.Time) (next time.Duration) {
	for _, f := range present(faults, now) {
		if left := f.Since.Add(f.Rule.For).Sub(now); f.Rule.For > 0 && (next == 0 || left < next) {
			next = left
		}
	}
	return next
}
