package main

import (
	"context"
	"errors"
	"fmt"
)

const (
	steadyRate = 2000 // messages per second without a transition dropped
	steadyLeft = 0.95 // of that rate; what was slower shows nothing
	perMessage = 3    // transitions: accepted, received, done
)

// measureSteady looks at the ledger while commands are sent and handled at an even pace, in one process with its collector.
func measureSteady(ctx context.Context, c config, s site, r *report) (err error) {
	s = s.apart()
	b, _ := brandOf(s.scheme, collected)
	p, err := start(ctx, c, s.messenger(b))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	r.progress(s.name)("%d messages/s for %v", steadyRate, c.steady)
	v := variant{s.row(steadyPaced, collected), p, order{What: orderPaced, Rate: steadyRate, For: c.steady}, []*child{p}}
	f, err := v.run()
	if err != nil {
		return err
	}
	r.addRows([]string{v.name}, map[string][]figures{v.name: {f}})
	r.drops("ledger-drops-"+s.name, f)
	return nil
}

// drops adds the target that no transition is missing at the collector, which holds only at the full rate.
func (r *report) drops(name string, f figures) {
	expected := max(f.Recorded, uint64(perMessage*(f.Count+f.Before)))
	lost := float64(max(expected, f.Collected) - f.Collected)
	t := target{Name: name, spread: spreadOf([]float64{lost}), AtMost: true, OK: lost == 0}
	if rate := f.perSecond(); rate < steadyLeft*steadyRate {
		t.OK, t.Why = false, fmt.Sprintf("only %.0f messages/s were sent, %d were wanted", rate, steadyRate)
	}
	r.Targets = append(r.Targets, t)
	r.note(name+": transitions collected", []float64{float64(f.Collected)})
}
