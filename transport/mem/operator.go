package mem

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-io/parley/transport"
)

// Backlog counts what waits for a group and what it has not settled, without what is delayed to a later time. A group
// or channel that does not exist is [transport.ErrNotFound].
func (b *Broker) Backlog(ctx context.Context, c transport.Channel, group string) (waiting int64, oldest time.Time, err error) {
	err = b.operate(ctx, "backlog", c, func(c *channel) error {
		g := c.group(group)
		if g == nil {
			return fmt.Errorf("group %q: %w", group, transport.ErrNotFound)
		}
		waiting, oldest = g.backlog()
		return nil
	})
	return waiting, oldest, err
}

// RemoveGroup forgets a group and what waits for it; its running Receives return an error wrapping
// [transport.ErrNotFound]. The one group of a Queue cannot be removed.
func (b *Broker) RemoveGroup(ctx context.Context, c transport.Channel, group string) error {
	return b.operate(ctx, "remove group", c, func(c *channel) error {
		if group == "" {
			return errors.New("want the name of a group")
		}
		g := c.group(group)
		if g == nil {
			return nil
		}
		for _, p := range b.fabric.processes {
			for r := range p.broker.receivers {
				if r.group == g {
					r.end(fmt.Errorf("group %s was removed: %w", group, transport.ErrNotFound))
				}
			}
		}
		c.remove(g)
		return nil
	})
}

// CancelDelayed removes every copy that waits under an id. The id may be sent again at once.
func (b *Broker) CancelDelayed(ctx context.Context, c transport.Channel, id string) error {
	return b.operate(ctx, "cancel delayed message", c, func(c *channel) error {
		if !c.cancel(id) {
			return fmt.Errorf("nothing waits under id %s: %w", id, transport.ErrNotFound)
		}
		return nil
	})
}

// operate does f with a channel.
func (b *Broker) operate(ctx context.Context, what string, form transport.Channel, f func(*channel) error) error {
	b.fabric.mu.Lock()
	defer b.fabric.mu.Unlock()
	err := b.usable(ctx)
	if err == nil {
		if c := b.fabric.channels[form.Address]; c == nil {
			err = fmt.Errorf("no such channel: %w", transport.ErrNotFound)
		} else {
			err = f(c)
		}
	}
	if err != nil {
		return fmt.Errorf("mem: %s of %s: %w", what, form.Address, err)
	}
	return nil
}
