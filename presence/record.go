package presence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

// format is the version of the records of both streams.
const format = 1

// stamped is what every record begins with.
type stamped struct {
	Format int `json:"v"`
}

// errNewer is about a record that only a newer version of Parley can read.
var errNewer = errors.New("record of a newer format")

// read decodes the body of a record.
func read[T any](body []byte) (record T, err error) {
	var s stamped
	if err = json.Unmarshal(body, &s); err != nil {
		return record, err
	}
	if s.Format != format {
		return record, fmt.Errorf("%w: got %d, want %d; update this program", errNewer, s.Format, format)
	}
	err = json.Unmarshal(body, &record)
	return record, err
}

// envelope makes the message of a record.
func (p *Presence) envelope(c transport.Channel, record any) (*transport.Envelope, error) {
	body, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("presence: encode a record of %s: %w", c.Address, err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("presence: make an id: %w", err)
	}
	return &transport.Envelope{ID: id.String(), Source: p.source, Address: c.Address, Time: time.Now(), Body: body}, nil
}

// record stores a record, repeated as long as it takes, and returns when this process has read it back, with
// everything that was stored before, and when it was accepted. stored, if not nil, is called before this process sends
// anything else.
func (p *Presence) record(ctx context.Context, c transport.Channel, record any, stored func()) (at time.Time, err error) {
	e, err := p.envelope(c, record)
	if err != nil {
		return at, err
	}
	back := p.await(e.ID)
	defer p.forget(e.ID)
	err = p.alone(ctx, func() error {
		err := delivery.Send(ctx, p.broker, []*transport.Envelope{e})[0].Err
		if err == nil && stored != nil {
			stored()
		}
		return err
	})
	if err != nil {
		return at, err
	}
	return p.readBack(ctx, c, back)
}

// await gives what gets the time at which the message id was accepted, once this process has read it.
func (p *Presence) await(id string) <-chan time.Time {
	back := make(chan time.Time, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaited[id] = back
	return back
}

func (p *Presence) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.awaited, id)
}

// readBack waits for a message that is awaited.
func (p *Presence) readBack(ctx context.Context, c transport.Channel, back <-chan time.Time) (at time.Time, err error) {
	select {
	case at = <-back:
		return at, nil
	case <-p.over:
		return at, p.Err()
	case <-ctx.Done():
		return at, fmt.Errorf("wait for a record of %s to come back: %w", c.Address, ctx.Err())
	}
}

// alone runs f while nobody else of this process sends records, or fails when ctx is done before.
func (p *Presence) alone(ctx context.Context, f func() error) error {
	select {
	case p.sending <- struct{}{}:
		defer func() { <-p.sending }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cameBack wakes whoever awaits the message; p.mu is held.
func (p *Presence) cameBack(d *transport.Delivery) {
	if back, ok := p.awaited[d.Envelope.ID]; ok {
		back <- accepted(d) // its capacity is 1, and it is written once
		delete(p.awaited, d.Envelope.ID)
	}
}

// ending is why a stream is read no more.
func ending(c transport.Channel, err error) error {
	if err == nil {
		err = transport.ErrClosed
	}
	return fmt.Errorf("presence: read %s: %w", c.Address, err)
}

// accepted is when the broker accepted a message, or when it was made if the broker does not say.
func accepted(d *transport.Delivery) time.Time {
	if d.Accepted.IsZero() {
		return d.Envelope.Time
	}
	return d.Accepted
}
