package main

import (
	"context"
	"errors"
)

// What ours must reach on a server, in the same run and as durable as what it is compared with.
const (
	rawGoal       = 0.8 // of the raw client's messages per second, published from 64 goroutines
	amqpMillGoal  = 5.0 // times Watermill's messages per second, with a handler of a millisecond and order by key
	kafkaMillGoal = 10.0
)

// contest is one thing that the clients are compared in.
type contest struct {
	title string // in tables
	order order
	noRaw bool // a raw client has no order by key to offer but one message after the other
}

// contests are all of them.
var contests = []contest{
	{title: "publish g1", order: order{What: orderPublish, Concurrency: 1}},
	{title: "publish g64", order: order{What: orderPublish, Concurrency: 64}},
	{title: "consume", order: order{What: orderConsume}},
	{title: "1 ms, ordered", order: order{What: orderInOrder}, noRaw: true},
	{title: "publish g64 to handled", order: order{What: orderThrough, Concurrency: 64}},
	{title: "2,000/s to handled", order: order{What: orderPaced, Rate: 2000}},
}

// compare measures the raw client, Watermill and ours on one network.
func compare(ctx context.Context, c config, s site, r *report) (err error) {
	var children []*child
	defer func() { err = errors.Join(err, endAll(children)) }()
	all := brands(s.scheme)
	for _, b := range all {
		p, err := start(ctx, c, setup{Role: "messenger", Name: s.name + " " + b.name, Brand: b.name, URL: s.url})
		if err != nil {
			return err
		}
		children = append(children, p)
	}
	var variants []variant
	for _, t := range contests {
		for i, b := range all {
			if i > 0 || !t.noRaw {
				variants = append(variants, variant{s.row(t.title, b.name), children[i], t.order, children[i : i+1]})
			}
		}
	}
	names := namesOf(variants)
	found, err := measure(c, variants, r.progress(s.name))
	if err != nil {
		return err
	}
	r.addRows(names, found)
	s.judge(all, found, r)
	return nil
}

// judge says what the figures are worth.
func (s site) judge(all []brand, found map[string][]figures, r *report) {
	raw, mill := all[0].name, all[1].name
	over := func(t contest, brand string, of func(figures) float64) []float64 {
		return ratiosOf(found[s.row(t.title, parleys)], found[s.row(t.title, brand)], of)
	}
	for _, t := range contests {
		if t.order.Rate > 0 {
			r.note(s.row(t.title, "p50 over "+raw), over(t, raw, figures.p50))
			r.note(s.row(t.title, "p99 over "+raw), over(t, raw, figures.p99))
			continue
		}
		switch {
		case t.noRaw:
		case t.order == order{What: orderPublish, Concurrency: 64} && s.scheme != embeddedSite:
			r.atLeast("publish-64-"+s.name, over(t, raw, figures.perSecond), rawGoal)
		default:
			r.note(s.row(t.title, "over "+raw), over(t, raw, figures.perSecond))
		}
		ratio := over(t, mill, figures.perSecond)
		switch {
		case t.order.What == orderInOrder && s.scheme == "amqp":
			r.atLeast("ordered-1ms-"+s.name, ratio, amqpMillGoal)
		case t.order.What == orderInOrder && s.scheme == "kafka":
			r.atLeast("ordered-1ms-"+s.name, ratio, kafkaMillGoal)
		default:
			r.note(s.row(t.title, "over "+mill), ratio)
		}
	}
}
