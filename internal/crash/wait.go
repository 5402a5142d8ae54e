package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/bank/loans"
	"github.com/parley-io/parley/examples/outside"
	"github.com/parley-io/parley/examples/shop/storefront"
	"github.com/parley-io/parley/internal/demo"
)

const (
	// waitLimit is for the wait of an operation that was under way when somebody was killed, maybe again and again. A loan
	// may have to ask its lenders again and again, or be signed late, and its owner be stopped for a tenth of the story; a
	// server that was killed needs up to 15 s to start each time. How long it stays away comes on top.
	waitLimit = 4 * time.Minute
	// watched is how many operations are waited for over each kill.
	watched = 16
)

// waits are those for operations that are under way.
type waits struct {
	client  *parley.Client
	limit   time.Duration
	waiting errgroup.Group
	begun   int

	mu       sync.Mutex
	returned int
	wrong    []error
}

// begin waits from now on for some of the operations that are under way.
func (w *waits) begin(ctx context.Context, cast *demo.Cast) error {
	o, err := cast.Outside()
	if err != nil {
		return err
	}
	left := o.Unfinished()
	for _, x := range left[max(0, len(left)-watched):] {
		if !x.Started {
			continue
		}
		w.begun++
		w.waiting.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, w.limit)
			defer cancel()
			err := waitFor(ctx, w.client, x)
			w.mu.Lock()
			defer w.mu.Unlock()
			if err != nil {
				w.wrong = append(w.wrong, err)
			} else {
				w.returned++
			}
			return nil
		})
	}
	return nil
}

// end returns when every wait has, with what was wrong with them.
func (w *waits) end() []error {
	_ = w.waiting.Wait() // nobody fails: w collects
	return w.wrong
}

// waitFor waits for an operation. An error says that it did not end, or otherwise than its request implies.
func waitFor(ctx context.Context, client *parley.Client, x *outside.Operation) error {
	began := time.Now()
	var err error
	switch x.Address {
	case storefront.PlaceOrder.Address():
		_, err = storefront.PlaceOrder.Execution(x.ID).Wait(ctx, client)
	case loans.Decide.Address():
		_, err = loans.Decide.Execution(x.ID).Wait(ctx, client)
	default:
		return fmt.Errorf("operation %s: nobody said what it is", x.ID)
	}
	if outcome := outside.Outcome(err); outcome != x.Expected {
		answer := "a result"
		if err != nil {
			answer = err.Error()
		}
		return fmt.Errorf("Wait(%s) = %s after %v, which is %s; want %s", x.ID, answer, time.Since(began).Round(time.Millisecond), outcome, x.Expected)
	}
	return nil
}
