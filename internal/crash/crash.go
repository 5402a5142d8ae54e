package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/shop/shop"
	"github.com/parley-io/parley/internal/demo"
)

type options struct {
	rounds int
	parley string // the binary
	seed   uint64
	out    io.Writer
}

const (
	// perRound is how much a round makes the story longer, from the third on; before that it has its shortest time.
	perRound = 8 * time.Second
	// killing is the part of the story in which customers order and processes are killed.
	killing = 0.85
	// orders in a second: so many that something is under way whenever a process is killed.
	orders = 25
	// broker is the process that runs it, by its name in the cast.
	broker = "broker"
	// recoverLimit is for a killed process to be there again.
	recoverLimit = 30 * time.Second
)

// round is a kill.
type round struct {
	victim string
	at     time.Duration // since the first order
}

// crash runs the story with kills, and checks what is left of it.
func crash(ctx context.Context, o options) error {
	length := demo.MinDuration + time.Duration(max(o.rounds-2, 0))*perRound
	plan := newPlan(o, time.Duration(killing*float64(length)))
	_, _ = fmt.Fprintf(o.out, "seed %d: kill -9 of %v\n\n", o.seed, victims(plan))
	d := &disturber{plan: plan}
	report, err := demo.Run(ctx, demo.Options{
		Executable: o.parley, Seed: o.seed, Out: o.out, Duration: length, Orders: orders,
		Beside: d.run,
		After:  check,
	})
	if report.Lost > 0 {
		err = errors.Join(err, fmt.Errorf("lost = %d, want 0", report.Lost))
	}
	if ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return errors.Join(err, errors.Join(d.wrong...))
}

// newPlan decides by the seed who is killed when within a time: the broker in a third of the rounds, some service in the
// others, one kill in each part of the time.
func newPlan(o options, within time.Duration) []round {
	random := rand.New(rand.NewPCG(o.seed, 2))
	plan := make([]round, o.rounds)
	for i := range plan {
		plan[i].victim = broker
		if i >= (o.rounds+2)/3 {
			plan[i].victim = shop.Services()[random.IntN(len(shop.Services()))]
		}
	}
	random.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	for i := range plan {
		plan[i].at = time.Duration((float64(i) + random.Float64()) / float64(len(plan)) * float64(within))
	}
	return plan
}

func victims(plan []round) []string {
	var all []string
	for _, r := range plan {
		all = append(all, r.victim)
	}
	return all
}

// disturber carries out a plan.
type disturber struct {
	plan  []round
	wrong []error
}

// run kills one after another.
func (d *disturber) run(ctx context.Context, cast *demo.Cast, net *parley.Network) {
	began := time.Now()
	for i, r := range d.plan {
		pause(ctx, r.at-time.Since(began))
		if ctx.Err() != nil {
			return
		}
		if !slices.Contains(cast.Names(), r.victim) {
			r.victim = "billing" // instead of one that has not joined yet
		}
		before := instances(net, r.victim)
		killed := time.Now()
		if err := cast.Kill(r.victim); err != nil {
			d.wrong = append(d.wrong, fmt.Errorf("round %d: %w", i+1, err))
			continue
		}
		for !recovered(net, r.victim, before) && time.Since(killed) < recoverLimit && ctx.Err() == nil {
			pause(ctx, 50*time.Millisecond)
		}
		took := time.Since(killed)
		cast.Sayf("round %d of %d: %s was killed, and was there again after %v", i+1, len(d.plan), r.victim, took.Round(10*time.Millisecond))
		if took >= recoverLimit {
			d.wrong = append(d.wrong, fmt.Errorf("round %d: %s was not there again within %v", i+1, r.victim, recoverLimit))
		}
	}
}

// recovered reports whether a process has an instance that it had not before; the broker's is its collector, which
// announces itself when it has read the ledger.
func recovered(net *parley.Network, victim string, before map[string]bool) bool {
	for id := range instances(net, victim) {
		if !before[id] {
			return true
		}
	}
	return false
}

// instances are the ids of those of a process.
func instances(net *parley.Network, process string) map[string]bool {
	if process == broker {
		process = "parley"
	}
	ids := make(map[string]bool)
	for _, i := range net.Directory.Instances() {
		if i.Service == process {
			ids[i.ID] = true
		}
	}
	return ids
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
