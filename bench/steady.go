package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger/collector"
)

// steady sends commands at an even pace and handles them, on an embedded network of its own with its collector.
type steady struct {
	*service
	sender *parley.Client
	began  time.Time

	mu      sync.Mutex
	handled map[int64]time.Duration // by number of the message: from verb to handler, the first time
}

const (
	handledLimit = 10 * time.Second // for the last messages to be handled
	collectLimit = 10 * time.Second // for the last transitions to be collected
	perMessage   = 3                // transitions: accepted, received, done
)

func startSteady(ctx context.Context, s setup) (actor, string, error) {
	n, err := openNetwork(ctx, embeddedURL(s.Dir), "steady")
	if err != nil {
		return nil, "", err
	}
	a := &steady{began: time.Now(), handled: make(map[int64]time.Duration)}
	a.sender, err = newClient("sender", n)
	var handler *parley.Client
	if err == nil {
		handler, err = newClient("handler", n)
	}
	if err != nil {
		return nil, "", errors.Join(err, n.Close(ctx))
	}
	if a.service, err = runService(ctx, n, handler, charge.Handle(a.handle)); err != nil {
		return nil, "", err
	}
	return a, "", nil
}

// do sends for a while and waits until all of it is handled and collected. It is carried out once.
func (a *steady) do(ctx context.Context, o order) (figures, error) {
	began := time.Now()
	sent, err := a.send(ctx, o)
	if err != nil {
		return figures{}, err
	}
	found := figures{Count: sent, Took: time.Since(began)}
	within, cancel := context.WithTimeout(ctx, handledLimit)
	defer cancel()
	if !poll(within, func() bool { return a.countHandled() == sent }) {
		return found, fmt.Errorf("%d of %d messages were handled within %v of the last one", a.countHandled(), sent, handledLimit)
	}
	found.P50, found.P99 = percentiles(slices.Collect(maps.Values(a.handled)))
	return found, a.collected(ctx, &found)
}

// send sends o.Rate messages a second.
func (a *steady) send(ctx context.Context, o order) (sent int, err error) {
	return pace(ctx, o, func(ctx context.Context, number int) error {
		_, err := charge.Send(ctx, a.sender, newChargeOrder(int64(number), int64(time.Since(a.began))))
		return err
	})
}

func (a *steady) handle(_ context.Context, o chargeOrder) error {
	took := time.Since(a.began) - time.Duration(o.Sent)
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, again := a.handled[o.Number]; !again {
		a.handled[o.Number] = took
	}
	return nil
}

func (a *steady) countHandled() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.handled)
}

// collected fills in what the ledger has, once the collector has all of it or no more comes.
func (a *steady) collected(ctx context.Context, f *figures) (err error) {
	ctx, cancel := context.WithTimeout(ctx, collectLimit)
	defer cancel()
	peers := a.net.Directory.Peers(collector.StatsAddress)
	if len(peers) == 0 {
		return errors.New("no collector answers")
	}
	poll(ctx, func() bool {
		var stats collector.Stats
		if stats, err = collector.GetStats(ctx, a.net.Calls, peers[0]); err != nil {
			return true
		}
		f.Recorded, f.Dropped = ledgerStats(a.net)
		f.Collected = stats.Ledger.Transitions
		return f.Collected >= max(f.Recorded, uint64(perMessage*f.Count))
	})
	return err
}

// poll asks every ten milliseconds until ok says so or ctx is done, and answers what ok said last.
func poll(ctx context.Context, ok func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
