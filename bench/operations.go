package main

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// What an operation of three steps may cost, in single synced inserts.
const (
	op3Goal1  = 5.0 // one at a time
	op3Goal64 = 1.0 // 64 at a time, each of them beside one insert at a time
)

// measureOperations compares operations with what the disk allows, and then looks at what those cost that wait.
func measureOperations(ctx context.Context, c config, r *report) error {
	if err := measureSteps(ctx, c, r); err != nil {
		return err
	}
	return measureWaiting(ctx, c, r)
}

func measureSteps(ctx context.Context, c config, r *report) (err error) {
	var all []*child
	defer func() { err = errors.Join(err, endAll(all)) }()
	for _, role := range []string{"inserter", "engine", "owner"} {
		p, err := start(ctx, c, setup{Role: role})
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	bare, engine, owner := all[0], all[1], all[2]
	const insert, op1, op64 = "single synced inserts", "op3 c1 engine", "op3 c64 engine"
	variants := []variant{
		{insert, bare, order{Concurrency: 1}, []*child{bare}},
		{op1, engine, order{Concurrency: 1}, []*child{engine}},
		{op64, engine, order{Concurrency: 64}, []*child{engine}},
		{"op3 c1 parley", owner, order{Concurrency: 1}, []*child{owner}},
		{"op3 c64 parley", owner, order{Concurrency: 64}, []*child{owner}},
	}
	names := namesOf(variants)
	found, err := measure(c, variants, r.progress("operations"))
	if err != nil {
		return err
	}
	r.addRows(names, found)
	inserts := found[insert]
	r.atMost("op3-c1", ratios(inserts, found[op1]), op3Goal1)
	r.atMost("op3-c64", ratios(inserts, found[op64]), op3Goal64)
	r.note("op3 c1, its p50 in p50s of an insert", medians(found[op1], inserts))
	r.note("op3 c1 through the root API, in inserts", ratios(inserts, found["op3 c1 parley"]))
	r.note("op3 c64 through the root API, in inserts", ratios(inserts, found["op3 c64 parley"]))
	sayWhatLimits(r, "op3-c1", inserts, found[op1])
	sayWhatLimits(r, "op3-c64", inserts, found[op64])
	return nil
}

// medians are the ratios of the p50s of each round, which suffer less from a disk or a core that is sometimes busy elsewhere.
func medians(a, b []figures) []float64 {
	var all []float64
	for i := range a {
		all = append(all, float64(a[i].P50)/float64(b[i].P50))
	}
	return all
}

// sayWhatLimits divides the time of operations into what the disk takes, what else the journal does, and the rest.
func sayWhatLimits(r *report, name string, inserts, ops []figures) {
	each := func(of func(figures) float64) float64 { return medianOf(ops, of) }
	commits := each(func(f figures) float64 { return float64(f.Commits) / float64(f.Count) })
	batch := each(func(f figures) float64 { return float64(f.Changes) / float64(f.Commits) })
	inCommit := each(func(f figures) float64 { return float64(f.InCommit) / float64(f.Took) })
	cores := each(func(f figures) float64 { return float64(f.CPU) / float64(f.Took) })
	micro := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	single := medianOf(inserts, func(f figures) float64 { return micro(f.P50) })
	commit := each(func(f figures) float64 { return micro(f.CommitP50) })
	limits := "the journal, whose batches are written one after the other, and in them more what SQLite does than the disk"
	switch {
	case inCommit < 0.5:
		limits = "the engine and the machine's cores, not the journal"
	case commit < 1.5*single:
		limits = "the disk, for which the journal's writer waits"
	}
	r.limit("%s is limited by %s: %.2f commits per operation, %.1f changes in each; p50 of a commit %.0f µs, of an insert %.0f µs; %.0f%% of the time is in commits, and %.1f of %d cores are busy",
		name, limits, commits, batch, commit, single, 100*inCommit, cores, runtime.NumCPU())
}
