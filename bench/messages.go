package main

import (
	"context"
	"errors"
)

const (
	publishGoal = 3.0  // times what single synced publishes make
	steadyRate  = 2000 // messages per second without a transition dropped
)

// measureMessages compares, on an embedded network, durable sending with single synced publishes on the same disk, and
// looks at a steady stream of messages from verb to handler; and then clients on each network.
func measureMessages(ctx context.Context, c config, r *report) error {
	if c.on(embeddedSite) {
		if err := measurePublish(ctx, c, r); err != nil {
			return err
		}
		if err := measureSteady(ctx, c, r); err != nil {
			return err
		}
	}
	return eachSite(ctx, c, r.progress("messages"), func(ctx context.Context, s site) error { return compare(ctx, c, s, r) })
}

func measurePublish(ctx context.Context, c config, r *report) (err error) {
	ours, err := start(ctx, c, setup{Role: "publisher"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.end()) }()
	plain, err := start(ctx, c, setup{Role: "plain publisher"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain.end()) }()
	variants := []variant{
		{"publish g1 nats.go", plain, order{Concurrency: 1}, []*child{plain}},
		{"publish g64 nats.go", plain, order{Concurrency: 64}, []*child{plain}},
		{"publish g1 parley", ours, order{What: ledgerOn, Concurrency: 1}, []*child{ours}},
		{"publish g64 parley", ours, order{What: ledgerOn, Concurrency: 64}, []*child{ours}},
		{"publish g64 parley, ledger off", ours, order{What: ledgerOff, Concurrency: 64}, []*child{ours}},
	}
	names := namesOf(variants)
	found, err := measure(c, variants, r.progress("publish"))
	if err != nil {
		return err
	}
	r.addRows(names, found)
	single, gathered := found["publish g1 nats.go"], found["publish g64 parley"]
	r.atLeast("publish-64", ratios(gathered, single), publishGoal)
	r.note("publish from 1 goroutine over nats.go", ratios(found["publish g1 parley"], single))
	r.note("publish from 64 goroutines over nats.go from 64", ratios(gathered, found["publish g64 nats.go"]))
	r.note("ledger on over off, publish/s from 64", ratios(gathered, found["publish g64 parley, ledger off"]))
	last := gathered[len(gathered)-1]
	r.note("transitions dropped while publishing as fast as possible", []float64{float64(last.Dropped)})
	return nil
}

func measureSteady(ctx context.Context, c config, r *report) (err error) {
	p, err := start(ctx, c, setup{Role: "send and handled"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	say := r.progress("messages")
	say("%d messages/s for %v", steadyRate, c.steady)
	v := variant{"send to handled", p, order{Rate: steadyRate, For: c.steady}, []*child{p}}
	f, err := v.run()
	if err != nil {
		return err
	}
	r.addRows([]string{v.name}, map[string][]figures{v.name: {f}})
	r.drops("ledger-drops", f)
	return nil
}
