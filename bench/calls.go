package main

import (
	"context"
	"errors"
	"fmt"
)

// restGoal: a call with everything on makes at least so many of the calls that net/http makes.
const restGoal = 0.9

var callConcurrencies = []int{1, 16, 64}

// measureCalls compares calls through Parley with net/http. Five processes: the network, with broker and collector, and
// two servers with their clients.
func measureCalls(ctx context.Context, c config, r *report) (err error) {
	var all []*child
	defer func() { err = errors.Join(err, endAll(all)) }()
	run := func(s setup) *child {
		if err != nil {
			return nil
		}
		var p *child
		if p, err = start(ctx, c, s); err == nil {
			all = append(all, p)
			return p
		}
		return nil
	}
	network := run(setup{Role: "network"})
	if err != nil {
		return err
	}
	callee := run(setup{Role: "callee", URL: network.address})
	caller := run(setup{Role: "caller", URL: network.address})
	plainCallee := run(setup{Role: "plain callee"})
	if err != nil {
		return err
	}
	plainCaller := run(setup{Role: "plain caller", Peer: plainCallee.address})
	if err != nil {
		return err
	}
	ours, plain := []*child{network, callee, caller}, []*child{plainCallee, plainCaller}
	var variants []variant
	for _, n := range callConcurrencies {
		variants = append(variants,
			variant{fmt.Sprintf("call c%d parley", n), caller, order{What: ledgerOn, Concurrency: n}, ours},
			variant{fmt.Sprintf("call c%d net/http", n), plainCaller, order{Concurrency: n}, plain},
		)
	}
	variants = append(variants, variant{"call c16 parley, ledger off", caller, order{What: ledgerOff, Concurrency: 16}, ours})
	names := namesOf(variants)
	found, err := measure(c, variants, r.progress("calls"))
	if err != nil {
		return err
	}
	r.addRows(names, found)
	for _, n := range callConcurrencies {
		ratio := ratios(found[fmt.Sprintf("call c%d parley", n)], found[fmt.Sprintf("call c%d net/http", n)])
		r.atLeast(fmt.Sprintf("calls-rest-c%d", n), ratio, restGoal)
	}
	r.note("ledger on over off, calls/s at 16", ratios(found["call c16 parley"], found["call c16 parley, ledger off"]))
	return nil
}

func namesOf(variants []variant) (names []string) {
	for _, v := range variants {
		names = append(names, v.name)
	}
	return names
}
