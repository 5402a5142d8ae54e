package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

const (
	styleRate  = 100 // pieces a second, one style at a time
	outageRate = 20  // pieces a second in each style, all styles at once
	// outageMargin is how long everything works before the backend is killed, and for how long is asked after it is back.
	outageMargin = 1500 * time.Millisecond
)

// measureStyles has the same work done in the four styles: while all is well, while everything behind the caller is down,
// and along a chain of services that fail now and then.
func measureStyles(ctx context.Context, c config, r *report) error {
	if err := measureStories(ctx, c, r); err != nil {
		return err
	}
	return measureChains(ctx, c, r)
}

// measureStories needs three processes: the network, everything behind the caller, and the caller.
func measureStories(ctx context.Context, c config, r *report) (err error) {
	var all []*child
	defer func() { err = errors.Join(err, endAll(all)) }()
	log := filepath.Join(c.dir, "story.log")
	network, err := start(ctx, c, setup{Role: "network"})
	if err != nil {
		return err
	}
	all = append(all, network)
	behind := setup{Role: "backend", URL: network.address, Log: log}
	backend, err := start(ctx, c, behind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.end()) }() // it may be another one by then
	caller, err := start(ctx, c, setup{Role: "styles", URL: network.address, Log: log})
	if err != nil {
		return err
	}
	all = append(all, caller)
	if err := measureLatency(c, caller, r); err != nil {
		return err
	}
	r.progress("styles")("everything behind the caller is down for %v", c.down)
	outage := make(chan error, 1)
	go func() { // ended below, or with its process
		_, err := caller.do(order{What: orderOutage, Rate: outageRate, For: c.down + 2*outageMargin})
		outage <- err
	}()
	pause(ctx, outageMargin)
	err = backend.kill()
	backend = nil
	pause(ctx, c.down)
	if err == nil {
		backend, err = start(ctx, c, behind)
	}
	if err = errors.Join(err, <-outage); err != nil {
		return err
	}
	return reportOutage(c, caller, r)
}

// pause waits, at the most until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// measureLatency asks in one style after the other while all is well.
func measureLatency(c config, caller *child, r *report) error {
	var variants []variant
	for _, s := range styles {
		variants = append(variants, variant{s.name, caller, order{What: s.name, Rate: styleRate}, nil})
	}
	quarter := c
	quarter.window = c.window / 3
	found, err := measure(quarter, variants, r.progress("styles"))
	if err != nil {
		return err
	}
	t := sheet{
		Title:   fmt.Sprintf("%d pieces of work a second, each part of which takes %v; ms, medians of %d rounds", styleRate, workTime, c.rounds),
		Columns: []string{"caller waits p50", "p99", "work is done p50", "p99"}, Digits: 1,
	}
	for _, s := range styles {
		ms := func(of func(figures) time.Duration) float64 {
			return medianOf(found[s.name], func(f figures) float64 { return milli(of(f)) })
		}
		t.Lines = append(t.Lines, line{s.name, []float64{
			ms(func(f figures) time.Duration { return f.P50 }), ms(func(f figures) time.Duration { return f.P99 }),
			ms(func(f figures) time.Duration { return f.Story.DoneP50 }), ms(func(f figures) time.Duration { return f.Story.DoneP99 }),
		}})
	}
	r.Sheets = append(r.Sheets, t)
	return nil
}

// reportOutage asks the caller what it saw.
func reportOutage(c config, caller *child, r *report) error {
	t := sheet{
		Title: fmt.Sprintf("everything behind the caller is killed and away for %v", c.down),
		Columns: []string{"asked", "failed", "of them half done", "done anyway", "longest wait ms",
			"done late", "latest ms", "done twice", "lost"},
	}
	for _, s := range styles {
		f, err := caller.do(order{What: outageOf + s.name})
		if err != nil {
			return err
		}
		v := f.Story
		t.Lines = append(t.Lines, line{s.name, []float64{
			float64(f.Count), float64(v.Failed), float64(v.Half), float64(v.Anyway), milli(v.WaitMax),
			float64(v.Late), milli(v.DoneMax), float64(v.Twice), float64(v.Lost),
		}})
	}
	r.Sheets = append(r.Sheets, t)
	return nil
}

func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
