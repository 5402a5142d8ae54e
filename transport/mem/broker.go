package mem

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-io/parley/transport"
)

// Broker is a process's connection to the fabric's broker. It implements [transport.Broker] and
// [transport.Operator].
type Broker struct {
	process   *Process
	fabric    *Fabric
	receivers map[*receiver]struct{} // the running Receives
	closing   bool
	changed   chan struct{} // closed when a Receive has ended; nil while Close does not wait
}

var (
	_ transport.Broker   = (*Broker)(nil)
	_ transport.Operator = (*Broker)(nil)
)

// Features of the fabric: everything but survival.
func (b *Broker) Features() transport.Features { return b.fabric.features }

// Declare creates what is missing, or nothing if one of the channels is wrong or exists in another form.
func (b *Broker) Declare(ctx context.Context, channels []transport.Channel) error {
	b.fabric.mu.Lock()
	defer b.fabric.mu.Unlock()
	if err := b.usable(ctx); err != nil {
		return fmt.Errorf("mem: declare: %w", err)
	}
	forms := make(map[string]transport.Channel, len(channels))
	for address, c := range b.fabric.channels {
		forms[address] = c.form
	}
	var errs []error
	for _, want := range channels {
		have, exists := forms[want.Address]
		switch err := want.Validate(); {
		case err != nil:
			errs = append(errs, err)
		case exists && have != want:
			errs = append(errs, differs(have, want))
		}
		forms[want.Address] = want
	}
	if len(errs) > 0 {
		return fmt.Errorf("mem: declare: %w", errors.Join(errs...))
	}
	for _, want := range channels {
		if b.fabric.channels[want.Address] == nil {
			b.fabric.channels[want.Address] = newChannel(b.fabric, want)
		}
	}
	return nil
}

// Send stores each envelope of the batch before the next one.
func (b *Broker) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	receipts := make([]transport.Receipt, len(batch))
	for i, e := range batch {
		if err := e.Validate(); err != nil { // it names the message
			receipts[i].Err = fmt.Errorf("mem: send: %w", err)
		} else if receipts[i] = b.send(ctx, e); receipts[i].Err != nil {
			receipts[i] = transport.Receipt{Err: fmt.Errorf("mem: send %s to %s: %w", e.ID, e.Address, receipts[i].Err)}
		}
	}
	return receipts
}

func (b *Broker) send(ctx context.Context, e *transport.Envelope) transport.Receipt {
	if n, most := e.Size(), b.fabric.features.MaxBytes; n > most {
		return transport.Receipt{Err: fmt.Errorf("%w: %d bytes of body and headers, the broker takes %d", transport.ErrRefused, n, most)}
	}
	m := newMessage(e)
	b.fabric.mu.Lock()
	defer b.fabric.mu.Unlock()
	if err := b.usable(ctx); err != nil {
		return transport.Receipt{Err: fmt.Errorf("%w: %w", transport.ErrNotSent, err)}
	}
	if !b.process.pass(BeforeStore) {
		return b.unknown()
	}
	c := b.fabric.channels[e.Address]
	if c == nil {
		return transport.Receipt{Err: fmt.Errorf("%w: no such channel: Declare it first", transport.ErrRefused)}
	}
	receipt := c.accept(m)
	if !b.process.pass(BeforeConfirm) {
		return b.unknown()
	}
	return receipt
}

// unknown is the receipt of a Send in whose middle the process was killed.
func (b *Broker) unknown() transport.Receipt {
	return transport.Receipt{Err: fmt.Errorf("outcome unknown: %w", b.errClosed())}
}

// Close ends all Receives once what they delivered is settled. What is not when ctx is done goes back to the broker,
// and Close says so.
func (b *Broker) Close(ctx context.Context) error {
	b.fabric.mu.Lock()
	defer b.fabric.mu.Unlock()
	b.closing = true
	for r := range b.receivers {
		r.kick()
	}
	for len(b.receivers) > 0 {
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.fabric.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		b.fabric.mu.Lock()
		if n := len(b.receivers); n > 0 && ctx.Err() != nil {
			for r := range b.receivers {
				r.end(b.errClosed())
			}
			return fmt.Errorf("mem: close broker of %s: %d Receives had unsettled deliveries, which will be delivered again: %w",
				b.process.name, n, ctx.Err())
		}
	}
	return nil
}

// left tells Close that a Receive has ended.
func (b *Broker) left() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// usable reports why nothing can be asked of the broker now.
func (b *Broker) usable(ctx context.Context) error {
	switch {
	case b.closing || !b.process.alive():
		return b.errClosed()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case b.fabric.away:
		return fmt.Errorf("%w: the broker is away", transport.ErrNotSent)
	}
	return nil
}

func (b *Broker) errClosed() error {
	return fmt.Errorf("broker of process %s: %w", b.process.name, transport.ErrClosed)
}

func differs(have, want transport.Channel) error {
	return fmt.Errorf("%w: channel %s exists as %s and is wanted as %s: change one of the two contracts, or remove the channel",
		transport.ErrRefused, have.Address, form(have), form(want))
}

func form(c transport.Channel) string {
	return fmt.Sprintf("%v with %d partitions, kept %v and %d bytes (0 = no bound)", c.Pattern, c.Partitions, c.Retain, c.RetainBytes)
}
