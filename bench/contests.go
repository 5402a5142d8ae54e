package main

import (
	"context"
	"errors"
	"slices"
)

// contest is one thing that clients are compared in.
type contest struct {
	title string // in tables
	order order
	who   []kind // each where the network has it
}

// The titles of the contests.
const (
	publish1    = "publish g1"
	publish64   = "publish g64"
	consuming   = "consume"
	inOrder     = "1 ms, ordered"
	through64   = "publish g64 to handled"
	paced       = "2,000/s to handled"
	fewKeys     = "publish g64 to handled, 10 keys"
	manyKeys    = "publish g64 to handled, 10,000 keys"
	manyQueues  = "publish g64 to handled, many channels"
	steadyPaced = "2,000/s for longer"
)

// contests are all of them; one with a single channel and another number of keys is [through64] itself.
var contests = []contest{
	{publish1, order{What: orderPublish, Concurrency: 1}, []kind{raw, tuned, ours, ledgered}},
	{publish64, order{What: orderPublish, Concurrency: 64}, []kind{raw, tuned, untuned, ours, silent, ledgered}},
	{consuming, order{What: orderConsume}, []kind{raw, removing, tuned, ours}},
	// A raw client has no order by key to offer but one message after the other.
	{inOrder, order{What: orderInOrder}, []kind{tuned, ours}},
	{through64, order{What: orderThrough, Concurrency: 64}, []kind{raw, removing, tuned, ours, silent, ledgered}},
	{paced, order{What: orderPaced, Rate: steadyRate}, []kind{raw, tuned, ours}},
	{fewKeys, order{What: orderThrough, Concurrency: 64, Keys: 10}, []kind{ours}},
	{manyKeys, order{What: orderThrough, Concurrency: 64, Keys: 10_000}, []kind{ours}},
	{manyQueues, order{What: orderThrough, Concurrency: 64, Queues: channels}, []kind{raw, ours}},
}

// channels over which a load is spread.
const channels = 200

// compare measures the clients of one network in all contests, in turns.
func compare(ctx context.Context, c config, s site, r *report) (err error) {
	var children []*child
	defer func() { err = errors.Join(err, endAll(children)) }()
	s = s.apart()
	clients := make(map[kind]*child)
	for _, b := range brands(s.scheme) {
		if !slices.ContainsFunc(contests, func(t contest) bool { return slices.Contains(t.who, b.kind) && c.wants(entry{t.title, b.kind}) }) {
			continue
		}
		p, err := start(ctx, c, s.messenger(b))
		if err != nil {
			return err
		}
		children, clients[b.kind] = append(children, p), p
	}
	var variants []variant
	for _, t := range contests {
		for _, k := range t.who {
			if p := clients[k]; p != nil && c.wants(entry{t.title, k}) {
				o := t.order
				o.Queues = o.Queues * c.percent() / 100
				variants = append(variants, variant{s.row(t.title, k), p, o, []*child{p}})
			}
		}
	}
	names := namesOf(variants)
	found, err := measure(c, variants, r.progress(s.name))
	if err != nil {
		return err
	}
	r.addRows(names, found)
	s.judge(c, found, r)
	if c.wants(entry{manyQueues, ours}) {
		r.limit("%s: many channels are %d", s.name, channels*c.percent()/100)
	}
	for _, full := range []struct{ title, doing string }{{publish64, "publishing"}, {through64, "publishing to be handled"}} {
		if of := found[s.row(full.title, ledgered)]; len(of) > 0 {
			r.note(s.name+": transitions dropped while "+full.doing+" as fast as possible", valuesOf(of, dropped))
		}
	}
	return nil
}

// messenger is the setup of the process that measures a client.
func (s site) messenger(b brand) setup {
	return setup{Role: "messenger", Name: s.name + " " + b.name, Brand: b.kind, URL: s.url}
}

func dropped(f figures) float64 { return float64(f.Dropped) }
