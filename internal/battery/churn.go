package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/parley-io/parley"
)

const (
	// warmUp rounds fill pools and caches.
	warmUp = 3
	// perRound messages are sent and handled in a round.
	perRound = 200
	// slack is what pools of the runtime and of clients may keep beyond 5%.
	slackGoroutines, slackFiles, slackHeap = 3, 3, 2 << 20
)

// churnUp opens networks, runs services, sends, handles and closes again and again in one process, and looks at what is
// left of it.
func churnUp(ctx context.Context, s *stage, _ *proxy) error {
	started, err := s.start(ctx, task{Verb: "churn", Name: "churner", Rounds: s.count(100, 8)})
	if err != nil {
		return err
	}
	p := started[0]
	select {
	case <-p.gone:
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w; its log is in %s", p.name, p.err, s.crew.dir)
	}
	return s.finish(ctx, true)
}

func (w *worker) churn(ctx context.Context) error {
	var before usage
	for i := range warmUp + w.Rounds {
		if i == warmUp {
			before = measure()
		}
		if err := w.round(ctx, i); err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
	}
	after := measure()
	w.tellf("figure rounds %d", w.Rounds)
	w.compare("goroutines", before.goroutines, after.goroutines, slackGoroutines)
	w.compare("files", before.files, after.files, slackFiles)
	w.compare("heap", before.heap, after.heap, slackHeap)
	w.tellf("done")
	return nil
}

func (w *worker) compare(what string, before, after, slack int) {
	w.tellf("figure %s %d->%d", what, before, after)
	if limit := before + before/20 + slack; after > limit {
		w.tellf("wrong %s grew from %d to %d over %d rounds; want at most %d", what, before, after, w.Rounds, limit)
	}
}

// round is the life of a process in small.
func (w *worker) round(ctx context.Context, n int) error {
	net, client, err := w.open(ctx)
	if err != nil {
		return err
	}
	handled := make(chan struct{}, 2*perRound)
	service, err := parley.NewService(client, parley.Grace(0), inOrder.Handle(func(ctx context.Context, l load) error {
		if err := w.do(ctx, l); err != nil {
			return err
		}
		handled <- struct{}{}
		return nil
	}, parley.Concurrency(16)))
	if err != nil {
		return errors.Join(err, closeNetwork(ctx, net))
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- service.Run(running) }() // waited for below
	limit := time.After(time.Minute)
	select {
	case <-service.Ready():
	case <-limit:
		err = errors.New("a service is not ready after a minute")
	}
	var lanes sync.WaitGroup
	for i := range 10 {
		lanes.Go(func() {
			for k := range perRound / 10 {
				w.send(ctx, client, load{Lane: fmt.Sprintf("%s.%d.%d", w.Name, n, i), Number: k + 1})
			}
		})
	}
	lanes.Wait()
	for n := 0; n < perRound && err == nil; n++ {
		select {
		case <-handled:
		case <-limit:
			err = fmt.Errorf("%d of %d messages have been handled after a minute", n, perRound)
		}
	}
	stop()
	return errors.Join(err, <-ended, closeNetwork(ctx, net))
}

// usage is what a process holds.
type usage struct{ goroutines, files, heap int }

// measure waits until nothing ends any more: connections take a moment.
func measure() usage {
	var least usage
	for i := range 20 {
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		now := usage{runtime.NumGoroutine(), files(), int(memory.HeapAlloc)}
		if i == 0 {
			least = now
		}
		least = usage{min(least.goroutines, now.goroutines), min(least.files, now.files), min(least.heap, now.heap)}
		time.Sleep(100 * time.Millisecond)
	}
	return least
}

// files are the open ones, 0 where the system does not tell.
func files() int {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(open)
}
