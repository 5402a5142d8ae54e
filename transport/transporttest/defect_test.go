package transporttest_test

import (
	"context"
	"sync/atomic"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// mutant is a connection to a broker with one defect. The nil functions do what mem does.
type mutant struct {
	*mem.Broker
	send    func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt
	receive func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error
	declare func(ctx context.Context, channels []transport.Channel) error
	close   func(ctx context.Context) error
}

func (m *mutant) Close(ctx context.Context) error {
	if m.close != nil {
		return m.close(ctx)
	}
	return m.Broker.Close(ctx)
}

func (m *mutant) Declare(ctx context.Context, channels []transport.Channel) error {
	if m.declare != nil {
		return m.declare(ctx, channels)
	}
	return m.Broker.Declare(ctx, channels)
}

func (m *mutant) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	if m.send != nil {
		return m.send(ctx, batch)
	}
	return m.Broker.Send(ctx, batch)
}

func (m *mutant) Receive(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	if m.receive != nil {
		return m.receive(ctx, r, take)
	}
	return m.Broker.Receive(ctx, r, take)
}

// defect makes one connection defective.
type defect func(m *mutant)

// changing is a defect of Send that changes each envelope; answering false, change loses it behind a good receipt.
func changing(change func(e *transport.Envelope) bool) defect {
	return func(m *mutant) {
		m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
			receipts := make([]transport.Receipt, len(batch))
			for i, e := range batch {
				other := *e
				if change(&other) {
					receipts[i] = m.Broker.Send(ctx, []*transport.Envelope{&other})[0]
				}
			}
			return receipts
		}
	}
}

// taking is a defect between the broker and take.
func taking(change func(d *transport.Delivery, take func(*transport.Delivery))) defect {
	return func(m *mutant) {
		m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
			return m.Broker.Receive(ctx, r, func(d *transport.Delivery) { change(d, take) })
		}
	}
}

// each reports true for each n-th time, over all connections.
func each(n int64) func() bool {
	var count atomic.Int64
	return func() bool { return count.Add(1)%n == 0 }
}
