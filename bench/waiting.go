package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley/operation"
)

const (
	waitingWarm   = 500              // operations that come and go before anything is measured
	waitingTold   = 100              // of those that wait, so many are told at the end
	waitingLimit  = 60 * time.Second // until all of them wait
	waitingSpare  = 10               // goroutines more that are no goroutine for each operation
	waitingSignal = "signed"
)

// holder has operations that wait for a signal.
type holder struct {
	*engine
	begun atomic.Int64 // how often the code of an operation has begun
	heap  string       // file for a profile of the heap while they wait; "" = none
}

func startHolder(ctx context.Context, s setup) (actor, string, error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp(s.Dir, "round-") // with an empty journal
	if err != nil {
		return nil, "", err
	}
	h := &holder{}
	if s.Profile != "" {
		h.heap = strings.TrimSuffix(s.Profile, ".pprof") + ".heap.pprof"
	}
	if h.engine, err = runEngine(ctx, dir, h.await); err != nil {
		return nil, "", err
	}
	return h, "", nil
}

// await is the code of the operations.
func (h *holder) await(ctx context.Context, _ []byte) ([]byte, error) {
	h.begun.Add(1)
	run, _ := operation.RunFrom(ctx)
	return run.Await(ctx, waitingSignal, 0)
}

// do has o.Concurrency operations wait, measures what they add to the process, tells some of them, and sees those end.
func (h *holder) do(ctx context.Context, o order) (figures, error) {
	idle := runtime.NumGoroutine()
	ids, err := h.hold(ctx, waitingWarm, idle)
	if err != nil {
		return figures{}, err
	}
	if _, err := h.tell(ctx, ids); err != nil {
		return figures{}, err
	}
	before, goroutines := usage(true), runtime.NumGoroutine()
	began := time.Now()
	if ids, err = h.hold(ctx, o.Concurrency, goroutines); err != nil {
		return figures{}, err
	}
	found := figures{Count: len(ids), Took: time.Since(began)}
	asIs := usage(false)
	after := usage(true)
	found.Waiting = waitingFigures{
		Heap: after.heap - before.heap, PSS: after.pss - before.pss, RSS: after.rss - before.rss, Unforced: asIs.pss - before.pss,
		Goroutines: runtime.NumGoroutine() - goroutines,
	}
	if err := errors.Join(h.check(ctx, ids), h.profileHeap()); err != nil {
		return found, err
	}
	took, err := h.tell(ctx, ids[:min(waitingTold, len(ids))])
	found.P50, found.P99 = percentiles(took)
	return found, err
}

// hold starts n operations and returns when all of them wait, which is when no more goroutines are there than before.
func (h *holder) hold(ctx context.Context, n, goroutines int) ([]string, error) {
	begun := h.begun.Load()
	ids := make([]string, n)
	group, accepting := errgroup.WithContext(ctx)
	group.SetLimit(64)
	for i := range ids {
		group.Go(func() (err error) {
			ids[i], err = h.accept(accepting)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, waitingLimit)
	defer cancel()
	if !poll(within, func() bool {
		return h.begun.Load() >= begun+int64(n) && runtime.NumGoroutine() <= goroutines+waitingSpare
	}) {
		return nil, fmt.Errorf("after %v the code of %d of %d operations has begun, and there are %d goroutines where there were %d: want all to wait without one",
			waitingLimit, h.begun.Load()-begun, n, runtime.NumGoroutine(), goroutines)
	}
	return ids, nil
}

// check fails unless the journal soon says of all of ids that they wait for somebody.
func (h *holder) check(ctx context.Context, ids []string) (err error) {
	within, cancel := context.WithTimeout(ctx, waitingLimit)
	defer cancel()
	waiting := 0
	poll(within, func() bool {
		waiting, err = h.waiting(ctx)
		return err != nil || waiting == len(ids)
	})
	if err == nil && waiting != len(ids) {
		err = fmt.Errorf("%d operations wait for somebody according to the journal, want %d", waiting, len(ids))
	}
	return err
}

// waiting counts the operations that wait for somebody.
func (h *holder) waiting(ctx context.Context) (n int, err error) {
	f := operation.Filter{Statuses: []operation.Status{operation.Running}, Limit: 1000}
	for {
		page, err := h.List(ctx, f)
		if err != nil {
			return 0, err
		}
		for _, r := range page {
			if r.WakeAt.Equal(operation.Never) {
				n++
			}
		}
		if len(page) < f.Limit {
			return n, nil
		}
		f.After = &page[len(page)-1]
	}
}

// tell signals operations, one after the other, and waits for the end of each.
func (h *holder) tell(ctx context.Context, ids []string) (took []time.Duration, err error) {
	for _, id := range ids {
		began := time.Now()
		g := operation.Signal{ID: "told-" + id, Name: waitingSignal, Body: []byte(`{"clerk":"ada"}`), Source: "bench"}
		if _, err := h.Signal(ctx, engineAddress, id, g); err != nil {
			return nil, err
		}
		if err := h.ended(ctx, id); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

func (h *holder) profileHeap() error {
	if h.heap == "" {
		return nil
	}
	f, err := os.Create(h.heap)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}

// waitingFigures are what operations that wait have added to a process, in MiB.
type waitingFigures struct {
	Heap       float64 // HeapInuse + StackInuse
	PSS, RSS   float64 // of the whole process, by /proc, once the runtime has given back what is free; 0 = there is no /proc
	Unforced   float64 // PSS before it has
	Goroutines int
}

type memory struct{ heap, pss, rss float64 }

// usage is what this process has; settled: after the runtime has given back what is free.
func usage(settled bool) (m memory) {
	if settled {
		runtime.GC() // twice, for what finalizers free
		debug.FreeOSMemory()
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	m.heap = float64(s.HeapInuse+s.StackInuse) / (1 << 20)
	m.pss, m.rss = kilobytes("Pss"), kilobytes("Rss")
	return m
}

// kilobytes is a line of /proc/self/smaps_rollup in MiB; 0 where there is none.
func kilobytes(name string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSuffix(field("/proc/self/smaps_rollup", name), " kB"), 64)
	if err != nil {
		return 0
	}
	return n / (1 << 10)
}

// measureWaiting has operations wait, each round in a process of its own.
func measureWaiting(ctx context.Context, c config, r *report) error {
	say := r.progress("waiting")
	var added, heap, rss, unforced, goroutines, told []float64
	for round := range min(c.rounds, waitingRounds) {
		say("round %d of %d: %d operations", round+1, min(c.rounds, waitingRounds), c.waiting)
		f, err := holdOnce(ctx, c)
		if err != nil {
			return err
		}
		w := f.Waiting
		heap, rss, unforced = append(heap, w.Heap), append(rss, w.RSS), append(unforced, w.Unforced)
		added, goroutines = append(added, w.PSS), append(goroutines, float64(w.Goroutines))
		told = append(told, float64(f.P50)/float64(time.Millisecond))
	}
	judged := "PSS, which has the memory of SQLite in it; the runtime's own count has not"
	if slices.Max(rss) == 0 {
		added, judged = heap, "the runtime's count, for want of /proc; it has no memory of SQLite"
	}
	name := fmt.Sprintf("waiting-%d", c.waiting)
	r.atMost(name, added, waitingGoal)
	r.atMost(name+"-goroutines", goroutines, waitingSpare)
	r.limit("%s: MiB added to a process with an empty engine; judged is %s", name, judged)
	r.note(name+": HeapInuse+StackInuse, MiB", heap)
	r.note(name+": RSS, MiB", rss)
	r.note(name+": PSS before free memory was given back, MiB", unforced)
	r.note(fmt.Sprintf("signal to end of %d of them, ms", waitingTold), told)
	return nil
}

const (
	waitingGoal   = 20.0 // MiB that waiting operations add at the most
	waitingRounds = 3    // of the rounds, because each takes some seconds
)

func holdOnce(ctx context.Context, c config) (f figures, err error) {
	p, err := start(ctx, c, setup{Role: "waiting"})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	return p.do(order{Concurrency: c.waiting})
}
