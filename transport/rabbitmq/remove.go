package rabbitmq

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// RemoveAll deletes what channels and their groups consist of and what all channels of the prefix share, with all that
// it holds, for environments that were made to be thrown away. The protocol cannot ask a server what there is: so only
// what is known goes, the channel of each Route and its group, "" for none. It is for a Broker that has declared and
// received nothing, once nobody else uses the prefix: who still does makes things anew.
func (b *Broker) RemoveAll(ctx context.Context, known []transport.Route) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	exchanges, queues := b.everything(known)
	err := b.transact(ctx, "all", func(ch *amqp.Channel) error {
		for _, x := range exchanges { // first, so that nothing new comes in; what is not there is fine
			if err := ch.ExchangeDelete(x, false, false); err != nil || ctx.Err() != nil {
				return fmt.Errorf("delete exchange %s: %w", x, cause(ctx, err))
			}
		}
		for _, q := range queues {
			if _, err := ch.QueueDelete(q, false, false, false); err != nil || ctx.Err() != nil {
				return fmt.Errorf("delete queue %s: %w", q, cause(ctx, err))
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("rabbitmq: remove everything of %s: %w", b.options.Prefix, refusal(err))
	}
	return nil
}

func cause(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	return context.Cause(ctx)
}

// everything is what the known channels and groups and the place of delayed messages may consist of, each once.
func (b *Broker) everything(known []transport.Route) (exchanges, queues []string) {
	seen := make(map[string]bool)
	add := func(list *[]string, kind, name string) {
		if !seen[kind+name] {
			seen[kind+name] = true
			*list = append(*list, name)
		}
	}
	exchange := func(name string) { add(&exchanges, "exchange ", name) }
	queue := func(name string) { add(&queues, "queue ", name) }
	for _, r := range known {
		c := r.Channel
		exchange(b.names.exchange(c.Address))
		for _, group := range []string{"", r.Group} {
			queue(b.names.members(c.Address, group))
			for _, p := range partitions(c) {
				own := b.names.queue(c.Address, group, p)
				queue(own)
				queue(b.names.landing(own))
				queue(b.names.seen(c.Address, group, p))
			}
		}
	}
	exchange(b.names.positions())
	for k := levels - 1; k >= 0; k-- {
		exchange(b.names.level(k))
		queue(b.names.level(k))
	}
	exchange(b.names.due())
	for k := range nears {
		queue(b.names.near(k))
	}
	return exchanges, queues
}
