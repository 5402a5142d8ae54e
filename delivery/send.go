package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/parley-io/parley/transport"
)

// Back-off between repeats: full jitter below a bound that begins at firstBackoff and doubles up to lastBackoff.
const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = time.Second
)

// Send sends batch until each outcome is known or ctx is done. It repeats what is certainly not sent and what is
// unknown, as the same copies; only those, in their order. What is refused, and anything on a closed broker, is
// not repeated. A receipt whose error wraps neither [transport.ErrNotSent] nor [transport.ErrRefused] is unknown, also
// when only an earlier try of it was. A ctx that is done before the first try sends nothing.
func Send(ctx context.Context, b transport.Broker, batch []*transport.Envelope) []transport.Receipt {
	if err := context.Cause(ctx); err != nil {
		return failAll(len(batch), fmt.Errorf("%w: %w", transport.ErrNotSent, err))
	}
	receipts := b.Send(ctx, batch)
	again := unfinished(receipts, nil)
	if len(again) == 0 {
		return receipts
	}
	unknown := make([]bool, len(batch)) // some try of it may have been stored
	for try := 0; ; try++ {
		for _, i := range again {
			unknown[i] = unknown[i] || !errors.Is(receipts[i].Err, transport.ErrNotSent)
		}
		if !pause(ctx, rand.N(min(firstBackoff<<min(try, 10), lastBackoff))) {
			break
		}
		rest := make([]*transport.Envelope, len(again))
		for k, i := range again {
			rest[k] = batch[i]
		}
		for k, r := range b.Send(ctx, rest) {
			receipts[again[k]] = r
		}
		if again = unfinished(receipts, again); len(again) == 0 {
			break
		}
	}
	for i := range receipts {
		if err := receipts[i].Err; err != nil && unknown[i] {
			receipts[i].Err = fmt.Errorf("an earlier try may have been stored: %w", opaque{err})
		}
	}
	for _, i := range again {
		receipts[i].Err = fmt.Errorf("%w; given up: %w", receipts[i].Err, context.Cause(ctx))
	}
	return receipts
}

// Declare declares channels, and repeats while the broker cannot be reached (an error that wraps
// [transport.ErrNotSent]) until ctx is done. Any other error is returned at once.
func Declare(ctx context.Context, b transport.Broker, channels []transport.Channel) error {
	for try := 0; ; try++ {
		err := b.Declare(ctx, channels)
		if err == nil || !errors.Is(err, transport.ErrNotSent) || errors.Is(err, transport.ErrClosed) {
			return err
		}
		if !pause(ctx, rand.N(min(firstBackoff<<min(try, 10), lastBackoff))) {
			return fmt.Errorf("%w; given up: %w", err, context.Cause(ctx))
		}
	}
}

// unfinished are the indexes, among those of among (nil = all), of what is to be repeated.
func unfinished(receipts []transport.Receipt, among []int) (again []int) {
	repeat := func(err error) bool {
		return err != nil && !errors.Is(err, transport.ErrRefused) && !errors.Is(err, transport.ErrClosed)
	}
	if among == nil {
		for i := range receipts {
			if repeat(receipts[i].Err) {
				again = append(again, i)
			}
		}
		return again
	}
	for _, i := range among {
		if repeat(receipts[i].Err) {
			again = append(again, i)
		}
	}
	return again
}

func failAll(n int, err error) []transport.Receipt {
	receipts := make([]transport.Receipt, n)
	for i := range receipts {
		receipts[i] = transport.Receipt{Err: err, Groups: -1}
	}
	return receipts
}

// pause waits for d; false when ctx is done first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// opaque hides from errors.Is that the last try of a message was not sent or refused: an earlier one may have been
// stored.
type opaque struct{ err error }

func (o opaque) Error() string { return o.err.Error() }
