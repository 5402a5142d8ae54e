package nats

import (
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

// A position is a sequence of the stream, in decimal.
func position(sequence uint64) string { return strconv.FormatUint(sequence, 10) }

// sequence is the reverse of position; 0 = p has none.
func sequence(p transport.Position) (uint64, error) {
	if p.At == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(p.At, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("position %q: want one from a Receipt or Delivery of this channel", p.At)
	}
	return n, nil
}

// deliverFrom makes a consumer begin at p.
func deliverFrom(c *jetstream.ConsumerConfig, p transport.Position) {
	n, _ := sequence(p) // checked by checkRoute
	switch {
	case n > 0:
		deliverAfter(c, n-1)
	case !p.Time.IsZero():
		t := p.Time
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &t
	case p.Start:
		c.DeliverPolicy = jetstream.DeliverAllPolicy
	default:
		c.DeliverPolicy = jetstream.DeliverNewPolicy
	}
}

// deliverAfter makes a consumer begin with what follows a sequence.
func deliverAfter(c *jetstream.ConsumerConfig, sequence uint64) {
	c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, sequence+1
}
