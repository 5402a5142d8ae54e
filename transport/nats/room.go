package nats

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

// room is how much more the server lets this account store, as far as is known. Messages are refused here before the
// server refuses everything: the signs of life in the bucket need room, too, and without them nobody may handle what is
// stored, so that there never would be room again.
type room struct {
	limited atomic.Bool
	left    atomic.Int64 // until it is asked again
	limit   atomic.Int64
	asked   time.Time // when it was last; the keeper's
}

const (
	// maxHeadroom is the most that is left free for what is no message; a sixteenth of the limit, if that is less.
	maxHeadroom = 16 << 20
	// overhead is about what a message takes beside its body and headers.
	overhead = 512
	// unlimitedEvery is how often a server that has told of no limit is asked again; another one is with each beat.
	unlimitedEvery = 10 * time.Second
	roomWait       = 500 * time.Millisecond // for its answer
)

// take reports why a message of a size has no room, nil if it has.
func (r *room) take(size int) error {
	if !r.limited.Load() {
		return nil
	}
	if r.left.Add(-int64(size)-overhead) >= 0 {
		return nil
	}
	limit := r.limit.Load()
	return full(fmt.Sprintf("the server keeps nearly as much as it may, %d bytes: let receivers catch up, remove groups that nobody needs, or raise its limit", limit), nil)
}

// know takes what the server says: 0 or less is no limit.
func (r *room) know(used, limit int64) {
	r.limit.Store(limit)
	r.left.Store(limit - used - min(limit/16, maxHeadroom))
	r.limited.Store(limit > 0)
}

// measure asks the server how much more it would store. If it does not answer, what was known still holds.
func (b *Broker) measure(ctx context.Context) {
	if !b.room.limited.Load() && time.Since(b.room.asked) < unlimitedEvery {
		return
	}
	b.room.asked = time.Now()
	ctx, cancel := context.WithTimeout(ctx, roomWait)
	defer cancel()
	info, err := b.js.AccountInfo(ctx)
	if err != nil {
		return
	}
	if t, ok := b.tier(info); ok {
		b.room.know(int64(min(t.Store, math.MaxInt64)), t.Limits.MaxStore)
	}
}

// tier is what the account has stored, and may, with as many replicas as this Broker's streams have.
func (b *Broker) tier(info *jetstream.AccountInfo) (t jetstream.Tier, ok bool) {
	if len(info.Tiers) == 0 {
		return info.Tier, true
	}
	t, ok = info.Tiers[fmt.Sprintf("R%d", b.options.Replicas)]
	t.Limits.MaxStore *= int64(b.options.Replicas) // each replica counts as stored, and a tier's limit is for one
	return t, ok
}

// Storage is what a server keeps for an account, and how much it may.
type Storage struct {
	Bytes int64 // on disk, of all channels together
	Limit int64 // of Bytes; 0 = the account has none
}

// Storage tells what the server keeps. An embedded one has its limit there, which is less while its disk is nearly full.
func (b *Broker) Storage(ctx context.Context) (Storage, error) {
	if err := b.begin(); err != nil {
		return Storage{}, err
	}
	defer b.users.Done()
	info, err := b.js.AccountInfo(ctx)
	if err != nil {
		return Storage{}, fmt.Errorf("nats: ask what is stored: %w: %w", transport.ErrNotSent, err)
	}
	t, _ := b.tier(info)
	return Storage{Bytes: int64(min(t.Store, math.MaxInt64)), Limit: max(t.Limits.MaxStore, 0)}, nil
}
