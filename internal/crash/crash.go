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

	"github.com/parley-io/parley/examples/bank/bank"
	"github.com/parley-io/parley/examples/shop/shop"
	"github.com/parley-io/parley/internal/demo"
)

type options struct {
	rounds  int
	parley  string // the binary
	network string // "" or embedded, or the kind of a server
	only    bool   // nothing but the broker is killed
	away    time.Duration
	seed    uint64
	out     io.Writer
}

const (
	// perRound is how much a round makes the story longer, from the third on; before that it has its shortest time. A server
	// that was killed needs up to 15 s until it serves again, and customers some time of calm.
	perRound, perServerRound = 8 * time.Second, 30 * time.Second
	// killing is the part of the story in which customers order and processes are killed.
	killing = 0.85
	// orders and applications in a second: so many that something is under way whenever a process is killed.
	orders       = 12
	applications = 6
	// broker is the victim that carries the messages: a process of the cast, or a server of its own.
	broker = demo.Broker
	// recoverLimit is for a killed process to be there again.
	recoverLimit = 30 * time.Second
)

// owners are the services that own operations.
func owners() []string { return []string{"storefront", "loans"} }

// round is a kill.
type round struct {
	victim string
	at     time.Duration // since the first order
}

// crash runs the story with kills, and checks what is left of it.
func crash(ctx context.Context, o options) (err error) {
	server, err := startServer(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop(err != nil)) }()
	length := demo.MinDuration + time.Duration(max(o.rounds-2, 0))*perRound
	if server != nil {
		length = demo.MinDuration + time.Duration(o.rounds)*(perServerRound+o.away)
	}
	plan := newPlan(o, time.Duration(killing*float64(length)))
	_, _ = fmt.Fprintf(o.out, "seed %d: kill -9 of %v\n\n", o.seed, victims(plan))
	d := &disturber{plan: plan, server: server}
	report, err := demo.Run(ctx, demo.Options{
		Executable: o.parley, Network: server.network(), Seed: o.seed, Out: o.out, Duration: length, Orders: orders, Applications: applications,
		Beside: d.run,
		After: func(ctx context.Context, cast *demo.Cast, net *parley.Network, outside *demo.Outside) error {
			return errors.Join(errors.Join(d.wrong...), check(ctx, cast, net, outside))
		},
	})
	if report.Lost > 0 {
		err = errors.Join(err, fmt.Errorf("lost = %d, want 0", report.Lost))
	}
	if ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return err
}

// newPlan decides by the seed who is killed when within a time: the broker in a third of the rounds, an owner of
// operations in another, any other service in the rest, one kill in each part of the time.
func newPlan(o options, within time.Duration) []round {
	random := rand.New(rand.NewPCG(o.seed, 2))
	others := slices.DeleteFunc(slices.Concat(shop.Services(), bank.Services()), func(s string) bool { return slices.Contains(owners(), s) })
	if o.network != "" && o.network != embedded {
		others = append(others, demo.Collector)
	}
	plan := make([]round, o.rounds)
	for i := range plan {
		among := [][]string{{broker}, owners(), others}[i%3]
		if o.only {
			among = []string{broker}
		}
		plan[i].victim = among[random.IntN(len(among))]
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
	plan   []round
	server *server
	wrong  []error
}

// run kills one after another, while it waits for operations that are under way; it returns when all of these waits have.
func (d *disturber) run(ctx context.Context, cast *demo.Cast, net *parley.Network) {
	client, err := parley.NewClient("waiter", net)
	if err != nil {
		d.wrong = append(d.wrong, err)
		return
	}
	began := time.Now()
	waits := waits{client: client, limit: waitLimit}
	if d.server != nil {
		waits.limit += d.server.away
	}
	for i, r := range d.plan {
		pause(ctx, r.at-time.Since(began))
		if ctx.Err() != nil {
			break
		}
		ours := d.server != nil && r.victim == broker
		if !ours && !slices.Contains(cast.Names(), r.victim) {
			r.victim = "billing" // instead of one that has not joined yet, or is stopped at the moment
		}
		if err := waits.begin(ctx, cast); err != nil {
			d.wrong = append(d.wrong, fmt.Errorf("round %d: %w", i+1, err))
		}
		name := fmt.Sprintf("round %d of %d", i+1, len(d.plan))
		var err error
		if ours {
			err = d.server.kill(ctx, cast, name)
		} else {
			err = kill(ctx, cast, net, r.victim, name)
		}
		if err != nil {
			d.wrong = append(d.wrong, err)
		}
	}
	d.wrong = append(d.wrong, waits.end()...)
	cast.Sayf("%d waits for operations lasted over a kill, %d of them have returned", waits.begun, waits.returned)
}

// kill kills a process and waits until it is there again.
func kill(ctx context.Context, cast *demo.Cast, net *parley.Network, victim, round string) error {
	before := instances(net, victim)
	killed := time.Now()
	if err := cast.Kill(victim); err != nil {
		return fmt.Errorf("%s: %w", round, err)
	}
	for !recovered(net, victim, before) && time.Since(killed) < recoverLimit && ctx.Err() == nil {
		pause(ctx, 50*time.Millisecond)
	}
	took := time.Since(killed)
	cast.Sayf("%s: %s was killed, and was there again after %v", round, victim, took.Round(10*time.Millisecond))
	if took >= recoverLimit {
		return fmt.Errorf("%s: %s was not there again within %v", round, victim, recoverLimit)
	}
	return nil
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
	if process == broker || process == demo.Collector {
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
