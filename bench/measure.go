package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// paceInFlight is how many of what is done at an even pace may be under way; more is too slow a machine.
const paceInFlight = 1024

// variant is one of the things that a suite measures side by side.
type variant struct {
	name  string
	actor *child
	order order
	all   []*child // those whose CPU time counts
}

// measure runs all variants in each round, every other round backwards, after a short round that does not count. The
// answer has the figures of each variant by its name, one for each round.
func measure(c config, variants []variant, say func(format string, args ...any)) (map[string][]figures, error) {
	found := make(map[string][]figures)
	for round := range c.rounds + 1 {
		if round > 0 {
			say("round %d of %d", round, c.rounds)
		}
		for _, v := range variants {
			v.order.For = c.window
			if round == 0 {
				v.order.For = c.window / 3
			}
			f, err := v.run()
			if err != nil {
				return nil, err
			}
			if round > 0 {
				found[v.name] = append(found[v.name], f)
			}
		}
		slices.Reverse(variants)
	}
	return found, nil
}

func (v variant) run() (figures, error) {
	before, err := cpuOf(v.all)
	if err != nil {
		return figures{}, err
	}
	f, err := v.actor.do(v.order)
	if err != nil || f.CPU > 0 {
		return f, err
	}
	after, err := cpuOf(v.all)
	f.CPU = after - before
	return f, err
}

func cpuOf(all []*child) (sum time.Duration, err error) {
	for _, p := range all {
		f, err := p.do(order{What: orderCPU})
		if err != nil {
			return 0, err
		}
		sum += f.CPU
	}
	return sum, nil
}

// ratios are those of each round: how often more per second a does than b.
func ratios(a, b []figures) []float64 { return ratiosOf(a, b, figures.perSecond) }

// ratiosOf are those of each round, of one figure of a to that of b.
func ratiosOf(a, b []figures, of func(figures) float64) []float64 {
	var all []float64
	for i := range a {
		all = append(all, of(a[i])/of(b[i]))
	}
	return all
}

// median is the middle one, of an even number the mean of the two in the middle; 0 of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// medianOf is the median of one figure over all rounds.
func medianOf(rounds []figures, of func(figures) float64) float64 {
	return median(valuesOf(rounds, of))
}

// valuesOf are those of one figure in each round.
func valuesOf(rounds []figures, of func(figures) float64) (values []float64) {
	for _, f := range rounds {
		values = append(values, of(f))
	}
	return values
}

// hammer calls f from n goroutines for the given time, each again as soon as it has returned. What is under way at the
// end is waited for and counted. An error of f ends it all.
func hammer(ctx context.Context, n int, d time.Duration, f func(context.Context) error) (figures, error) {
	group, ctx := errgroup.WithContext(ctx)
	took := make([][]time.Duration, n)
	began := time.Now()
	for worker := range n {
		group.Go(func() error {
			for now := time.Now(); now.Sub(began) < d; {
				if err := f(ctx); err != nil {
					return err
				}
				last := now
				now = time.Now()
				took[worker] = append(took[worker], now.Sub(last))
			}
			return nil
		})
	}
	err := group.Wait()
	all := slices.Concat(took...)
	found := figures{Count: len(all), Took: time.Since(began)}
	found.P50, found.P99 = percentiles(all)
	return found, err
}

// pace calls f o.Rate times a second, each as soon as it is due whatever became of those before, unless paceInFlight of
// them have not returned. It answers how often, once all have; an error of f ends it all.
func pace(ctx context.Context, o order, f func(ctx context.Context, number int) error) (called int, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(paceInFlight)
	began := time.Now()
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for last := false; !last && ctx.Err() == nil; <-tick.C {
		passed := time.Since(began)
		last = passed >= o.For
		due := int(min(passed, o.For).Seconds() * float64(o.Rate))
		for ; called < due; called++ {
			number := called
			group.Go(func() error { return f(ctx, number) })
		}
	}
	return called, group.Wait()
}

// percentiles sorts what it is given; 0 of nothing.
func percentiles(all []time.Duration) (p50, p99 time.Duration) {
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*99/100]
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

// endAll ends children, the last one first.
func endAll(children []*child) error {
	var errs []error
	for _, p := range slices.Backward(children) {
		errs = append(errs, p.end())
	}
	return errors.Join(errs...)
}
