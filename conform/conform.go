package conform

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/parley-io/parley/delivery/deliverytest"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

// Options of a run. URL is required.
type Options struct {
	// URL of the broker, as package network has it. Its prefix= is the beginning of the prefix that the run makes for itself.
	URL string
	// Full is for the counts of the whole list, such as 50 kills instead of 5.
	Full bool
	// Seed decides at which moments faults come, and the like; 0 = one that the run chooses. Its replays name it.
	Seed uint64
	// Checks are the numbers of those to run; nil = all. A number that several suites have means each of them.
	Checks []int
	// Progress, if not nil, hears of each check before and after it is tried, from the goroutine of Run.
	Progress func(Progress)
}

// Progress is where a run is.
type Progress struct {
	Check   Check // its Outcome is "" while it is tried
	Nth, Of int   // from 1
}

// ErrOptions is what the error of [Run] wraps when the options have to be changed.
var ErrOptions = errors.New("the options of a conformance run are wrong")

const (
	openLimit = 20 * time.Second // for the first contact
	tidyLimit = time.Minute      // for what is left to delete
)

type promise = transporttest.Promise[transporttest.Site]

// plan is a suite with its name in reports.
type plan struct {
	name  string
	suite []promise
}

func plans() []plan {
	return []plan{{SuiteBroker, transporttest.Brokers()}, {SuiteDelivery, deliverytest.Promises()}}
}

// Run tries the checks one after the other, and answers what it found. A check that failed is no error of Run: see
// [Report.Failed]. Where ctx ends before the last check, the rest is not run and [Report.Stopped] says why; what was made
// is deleted all the same. An error wraps [ErrOptions] when the options have to be changed, or has the
// [transport.Code] of a broker that cannot be opened. No password is in either.
func Run(ctx context.Context, o Options) (*Report, error) {
	p, err := locate(o.URL, "")
	if err = errors.Join(err, checkNumbers(o.Checks)); err != nil {
		return nil, fmt.Errorf("conform: %w", err)
	}
	if o.Seed == 0 {
		o.Seed = 1 + rand.Uint64N(1_000_000)
	}
	t, err := newTraffic(time.Now())
	if err != nil {
		return nil, fmt.Errorf("conform: %w", err)
	}
	s, err := p.stand(ctx)
	if err != nil {
		return nil, fmt.Errorf("conform: open %s: %w", p, errors.Join(p.Discreet(err), t.end()))
	}
	r := &run{options: o, place: p, stand: s, traffic: t, report: &Report{
		Broker: p.String(), Prefix: p.Prefix(), Full: o.Full, Seed: o.Seed, Began: t.began, Features: featuresOf(s.features),
	}}
	r.try(ctx)
	r.tidy(ctx)
	return r.report, nil
}

// checkNumbers reports numbers that no check has.
func checkNumbers(numbers []int) error {
	for _, n := range numbers {
		has := func(p promise) bool { return p.Number == n }
		if !slices.ContainsFunc(plans(), func(l plan) bool { return slices.ContainsFunc(l.suite, has) }) {
			return fmt.Errorf("%w: no check has the number %d", ErrOptions, n)
		}
	}
	return nil
}

// run is one that goes on.
type run struct {
	options Options
	place   place
	stand   *stand
	traffic *traffic
	report  *Report
}

// try fills in the checks, and what was seen meanwhile.
func (r *run) try(ctx context.Context) {
	chosen, of := plans(), 0
	for i, l := range chosen {
		chosen[i].suite = slices.DeleteFunc(l.suite, func(p promise) bool {
			return r.options.Checks != nil && !slices.Contains(r.options.Checks, p.Number)
		})
		of += len(chosen[i].suite)
	}
	tell := func(c Check, nth int) {
		if r.options.Progress != nil {
			r.options.Progress(Progress{c, nth, of})
		}
	}
	for _, l := range chosen {
		for _, p := range l.suite {
			c := Check{Suite: l.name, Number: p.Number, Name: p.Name, Promise: p.Promise, Reason: p.Reason, At: since(r.report.Began)}
			tell(c, len(r.report.Checks)+1)
			r.one(ctx, p, &c)
			r.report.Checks = append(r.report.Checks, c)
			r.report.Counts.add(c.Outcome)
			tell(c, len(r.report.Checks))
		}
	}
	if ctx.Err() != nil {
		r.report.Stopped = context.Cause(ctx).Error()
	}
	r.report.Took = since(r.report.Began)
	r.report.watched(r.traffic)
}

// one tries a check. One that was cut short says nothing about the broker.
func (r *run) one(ctx context.Context, p promise, c *Check) {
	target := transporttest.Target[transporttest.Site]{
		Name: r.place.String(),
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
			return r.traffic.watch(r.stand.site()), nil, nil
		},
	}
	if c.Suite == SuiteBroker { // the numbers of the others mean something else
		target.Declared = impossible[r.place.Scheme()]
	}
	r.traffic.open(*c)
	x := transporttest.Suite[transporttest.Site]{p}.Results(ctx, target, transporttest.Options{Full: r.options.Full, Seed: r.options.Seed})[0]
	c.Messages = r.traffic.close()
	c.Outcome, c.Detail, c.Notes, c.Took = x.Outcome, r.place.Hide(x.Detail), r.place.Hide(x.Notes), Milliseconds(x.Took.Milliseconds())
	switch {
	case c.Outcome != transporttest.Failed:
	case ctx.Err() != nil:
		c.Outcome, c.Detail = transporttest.NotRun, "stopped in the middle: "+context.Cause(ctx).Error()
	default:
		c.Replay = r.place.replay(r.options, c.Number)
	}
}

// tidy deletes what the run has made, also when ctx is done.
func (r *run) tidy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
	defer cancel()
	if err := errors.Join(r.stand.end(ctx, r.traffic.routes()), r.traffic.end()); err != nil {
		r.report.Left = r.place.Discreet(err).Error()
	}
}

// featuresOf is what a broker can do, as a report has it.
func featuresOf(f transport.Features) Features {
	return Features{
		MaxBytes: f.MaxBytes, Dedupe: f.Dedupe.String(), Delay: f.Delay.String(), Streams: f.Streams, Audience: f.Audience, Survives: f.Survives,
	}
}
