package parley

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/ledger/collector"
)

// Trail is what became of a message or call and of everything that it caused; see [ledger.Trail].
type Trail = ledger.Trail

// DefaultFollowTimeout bounds a Follow whose context has no deadline.
const DefaultFollowTimeout = 5 * time.Second

// Follow shows what became of a message or call, of whatever it caused, and who is still expected to handle it. Any id
// finds its trail, and so do the id that began a story, a key, and a trace id; ids are exact. NotFound says what is
// kept; [ErrNoCollector] that nothing on this network collects.
func (c *Client) Follow(ctx context.Context, id MessageID) (Trail, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultFollowTimeout)
		defer cancel()
	}
	return c.collected(ctx, id, func(peer string) (Trail, error) {
		return collector.Follow(ctx, c.net.Calls, peer, string(id), 0)
	})
}

// Await waits until every expected receiver of a message is done with it, and returns its trail. A receiver that has
// given up ends the wait with [ErrDeadLettered], an id that stays unknown for 20 s with NotFound. ctx bounds the wait;
// the trail so far is returned with its error. A collector that restarts meanwhile is asked again. Where the record of
// the acceptance is lost, because the sender was killed right after it, the wait ends when those who are known to have
// received it are done; the trail's Gaps say so.
func (c *Client) Await(ctx context.Context, id MessageID) (Trail, error) {
	var last Trail
	for asked := false; ; asked = true {
		trail, err := c.collected(ctx, id, func(peer string) (Trail, error) {
			return collector.Follow(ctx, c.net.Calls, peer, string(id), awaitPoll)
		})
		switch code := CodeOf(err); {
		case err == nil && (trail.Concluded() || inGap(trail, id)):
			return trail, deadLettered(trail, id)
		case err == nil:
			last = trail
		case ctx.Err() == nil && (code != Unavailable && code != DeadlineExceeded || !asked && errors.Is(err, ErrNoCollector)):
			return last, err
		}
		wait(ctx, awaitPause)
		if ctx.Err() != nil {
			e := &Error{Code: DeadlineExceeded, ID: string(id), Message: "not every receiver was done in time", Cause: context.Cause(ctx)}
			if errors.Is(ctx.Err(), context.Canceled) {
				e.Code, e.Message = Canceled, "given up before every receiver was done"
			}
			return last, e
		}
	}
}

const (
	awaitPoll  = 20 * time.Second       // how long one question waits at the collector
	awaitPause = 100 * time.Millisecond // before the next one
)

// inGap reports whether the acceptance of id was not recorded, and everybody who is known to have received it is done.
func inGap(trail Trail, id MessageID) bool {
	for _, hop := range trail.Hops {
		if hop.ID == string(id) && hop.Accepted.IsZero() {
			return len(trail.Gaps) > 0 && len(hop.Receivers) > 0 &&
				!slices.ContainsFunc(hop.Receivers, func(r ledger.Receiver) bool { return !r.State.Final() })
		}
	}
	return false
}

// deadLettered is ErrDeadLettered if a receiver of id has given up.
func deadLettered(trail Trail, id MessageID) error {
	for _, hop := range trail.Hops {
		for _, r := range hop.Receivers {
			if (hop.ID == string(id) || trail.Found != ledger.FoundID) && r.State == ledger.DeadLetter {
				e := *ErrDeadLettered
				e.Address, e.ID = hop.Address, hop.ID
				e.Message = r.Group + " has given up after its last attempt; `parley failed list` says why, `parley failed redrive` tries again"
				return &e
			}
		}
	}
	return nil
}

// collected asks one collector after the other.
func (c *Client) collected(ctx context.Context, id MessageID, ask func(peer string) (Trail, error)) (trail Trail, err error) {
	if c.net.Calls == nil {
		return Trail{}, noCollector(id, "the network "+c.net.Name+" has no calls to ask one with")
	}
	peers := c.peers("parley", collector.FollowAddress)
	if len(peers) == 0 {
		return Trail{}, noCollector(id, "nothing collects trails on "+c.net.Name+"; `parley dev` does, and so does a process that owns an embedded network")
	}
	for _, peer := range peers {
		trail, err = ask(peer)
		if CodeOf(err) != Unavailable || ctx.Err() != nil {
			break
		}
	}
	return trail, err
}

func noCollector(id MessageID, message string) error {
	e := *ErrNoCollector
	e.ID, e.Message, e.NotSent = string(id), message, true
	return &e
}
