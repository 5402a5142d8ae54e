package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger/collector"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
)

// contractClient is all of Parley: a verb of a contract sends, a service handles. Each queue is a command of an API of its
// own. An intake's workers are the default, whatever it says, and so is the order: there is none.
type contractClient struct {
	net    *parley.Network
	client *parley.Client

	mu       sync.RWMutex
	commands map[string]*parley.Command[chargeOrder] // by queue
}

func openSilent(ctx context.Context, address string) (client, error) {
	c, err := openContracts(ctx, address)
	if err != nil {
		return nil, err
	}
	if c.client, err = newClient("bench", withoutLedger(c.net)); err != nil {
		return nil, errors.Join(err, c.close(ctx))
	}
	return c, nil
}

func openLedgered(ctx context.Context, address string) (client, error) {
	return openContracts(ctx, address)
}

func openCollected(ctx context.Context, address string) (client, error) {
	return openContracts(ctx, address, network.WithCollector(nil))
}

func openContracts(ctx context.Context, address string, options ...network.Option) (*contractClient, error) {
	n, err := openConsenting(ctx, address, options...)
	if err != nil {
		return nil, err
	}
	client, err := newClient("bench", n)
	if err != nil {
		return nil, errors.Join(err, n.Close(ctx))
	}
	return &contractClient{net: n, client: client, commands: make(map[string]*parley.Command[chargeOrder])}, nil
}

// createLimit bounds the making of a queue; a verb would give up sooner.
const createLimit = time.Minute

func (c *contractClient) create(ctx context.Context, q queue) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	command := parley.NewCommand[chargeOrder](parley.NewAPI(q.name, 1), "charge")
	c.commands[q.name] = command
	ctx, cancel := context.WithTimeout(ctx, createLimit)
	defer cancel()
	return delivery.Declare(ctx, c.net.Messages, []transport.Channel{{Address: command.Address(), Pattern: transport.Queue}})
}

func (c *contractClient) command(q queue) *parley.Command[chargeOrder] {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.commands[q.name]
}

// publish sends what the letter says in an order of about the same size.
func (c *contractClient) publish(ctx context.Context, q queue, _ string, body []byte) error {
	l := readLetter(body)
	_, err := c.command(q).Send(ctx, c.client, newChargeOrder(int64(l.number), int64(l.sent)))
	return err
}

func (c *contractClient) consume(ctx context.Context, q queue, in intake) error {
	handle := func(_ context.Context, o chargeOrder) error {
		in.handle(letter{number: int(o.Number), sent: time.Duration(o.Sent)}.body())
		return nil
	}
	service, err := parley.NewService(c.client, c.command(q).Handle(handle), parley.Grace(time.Millisecond))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return service.Run(ctx) })
	group.Go(func() error {
		select {
		case <-service.Ready():
			in.ready()
		case <-ctx.Done():
		}
		return nil
	})
	return group.Wait()
}

// remove does nothing: a channel is for ever.
func (c *contractClient) remove(context.Context, queue) error { return nil }

func (c *contractClient) close(ctx context.Context) error { return c.net.Close(ctx) }

// accountant is a messenger that also says what became of the transitions that were to be recorded meanwhile.
type accountant struct {
	*messenger
	client *contractClient
}

// collectLimit bounds the wait for the last transitions to be collected.
const collectLimit = 10 * time.Second

// do returns once the collector has what was not dropped, if there is one, so that it does not lag into what is measured next.
func (a accountant) do(ctx context.Context, o order) (figures, error) {
	var before, after figures
	if err := a.account(ctx, &before); err != nil {
		return before, err
	}
	f, err := a.messenger.do(ctx, o)
	if err != nil {
		return f, err
	}
	within, cancel := context.WithTimeout(ctx, collectLimit)
	defer cancel()
	poll(within, func() bool {
		err = a.account(ctx, &after)
		return err != nil || !a.collects() || after.Collected-before.Collected >= after.Recorded-before.Recorded-(after.Dropped-before.Dropped)
	})
	f.Recorded, f.Dropped, f.Collected = after.Recorded-before.Recorded, after.Dropped-before.Dropped, after.Collected-before.Collected
	return f, err
}

// collects reports whether the ledger of the network is collected.
func (a accountant) collects() bool {
	return len(a.client.net.Directory.Peers(collector.StatsAddress)) > 0
}

// account fills in what the ledger's writer and, if there is one, the collector have counted so far.
func (a accountant) account(ctx context.Context, f *figures) error {
	f.Recorded, f.Dropped = ledgerStats(a.client.net)
	if !a.collects() {
		return nil
	}
	peer := a.client.net.Directory.Peers(collector.StatsAddress)[0]
	stats, err := collector.GetStats(ctx, a.client.net.Calls, peer)
	f.Collected = stats.Ledger.Transitions
	return err
}
