package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/policy"
	"github.com/parley-io/parley/transport/fault"
	"github.com/parley-io/parley/transport/mem"
)

// chain is a caller and three services, each of which asks the next one, in one process without a socket: here nothing
// counts but what fails. Faults strike every link.
type chain struct {
	faults   *fault.Injector
	networks []*parley.Network           // the first one is the caller's, each next one that of a link
	clients  []map[string]*parley.Client // of each network, by way
	services []*service
	done     atomic.Int64 // commands
}

// way is how a service asks the next one.
type way struct {
	name    string
	options []parley.CallOption
	policy  policy.Options
	tries   int // by hand
}

// noBreaker is a policy whose breakers never open.
var noBreaker = policy.BreakerOptions{Requests: 1 << 30, Connects: 1 << 30}

var ways = []way{
	{"once", nil, policy.Options{}, 1}, // repeated only if it certainly was not sent
	{"again", []parley.CallOption{parley.Idempotent()}, policy.Options{}, 1},
	{"thrice", nil, policy.Options{Retries: -1, Breaker: noBreaker}, 3},
	{"budget", []parley.CallOption{parley.Idempotent()}, policy.Options{Breaker: noBreaker}, 1},
	{"breaker", []parley.CallOption{parley.Idempotent()}, policy.Options{}, 1}, // with breakers that have seen nothing else
}

// link is the API of one service of the chain: a call for each way.
type link map[string]*parley.Call[piece, piece]

func newLink(name string) link {
	a, l := parley.NewAPI(name, 1), make(link)
	for _, w := range ways {
		l[w.name] = parley.NewCall[piece, piece](a, w.name, w.options...)
	}
	return l
}

var (
	links = []link{newLink("link-a"), newLink("link-b"), newLink("link-c")}

	relay     = parley.NewAPI("relay", 1)
	relayed   = parley.NewCommand[piece](relay, "relayed")
	relaySafe = parley.NewOperation[piece, piece](relay, "safe")
)

// chainFigures are about requests along the chain.
type chainFigures struct {
	Served   int    // of figures.Count
	Attempts uint64 // at the last link
}

// experiment is one thing that is tried along the chain.
type experiment struct {
	name      string
	faults    string // in the language of package fault
	counts    string // the rule whose Seen are the attempts
	n, atOnce int
	predicted float64 // percent of the requests that are served
	attempts  float64 // predicted at the last link, for each request
	ask       func(c *chain, ctx context.Context, p piece) error
}

const (
	failsRarely = "fail 0.1% call link-a.v1.*\nfail 0.1% call link-b.v1.* seed 1\nfail 0.1% call link-c.v1.* seed 2"
	failsOften  = "fail 1% call link-a.v1.*\nfail 1% call link-b.v1.* seed 1\nfail 1% call link-c.v1.* seed 2"
	lastDown    = "fail call link-c.v1.*"
)

// experiments predict: three links of availability a serve a³ of the requests; with k tries at each link 1-(1-a)^k of
// them pass it; a chain in which each asks the next one three times asks what is down 3³ times; a retry budget of a tenth
// adds a tenth, and who has retried in vain says so, so that nobody before it does; a breaker opens after 20 requests.
var experiments = []experiment{
	{"calls, links of 99.9%", failsRarely, "link-c", 20000, 16, 99.7003, 0.998001, calls("once")},
	{"calls, links of 99%", failsOften, "link-c", 20000, 16, 97.0299, 0.9801, calls("once")},
	{"idempotent calls, links of 99%", failsOften, "link-c", 20000, 16, 99.9997, 1.0101, calls("again")},
	{"operations over those calls", failsOften, "link-c", 500, 16, 100, 1.0101, (*chain).operation},
	{"commands, handlers of 99%", "fail 1% handle relay.v1.relayed", "relay", 2000, 16, 100, 1.0101, (*chain).command},
	{"last link down, three tries by hand at each", lastDown, "link-c", 200, 16, 0, 27, calls("thrice")},
	{"last link down, retries under a budget", lastDown, "link-c", 2000, 16, 0, 1.1, calls("budget")},
	{"last link down, budget and breakers", lastDown, "link-c", 2000, 16, 0, 0.01, calls("breaker")},
}

func startChain(ctx context.Context, _ setup) (actor, string, error) {
	c := &chain{faults: fault.New()}
	if err := c.start(ctx); err != nil {
		return nil, "", errors.Join(err, c.close(ctx))
	}
	return c, "", nil
}

func (c *chain) start(ctx context.Context) error {
	fabric := mem.New()
	if err := c.join(ctx, fabric, "caller"); err != nil {
		return err
	}
	for i := range links {
		if err := c.join(ctx, fabric, fmt.Sprintf("link-%d", i+1)); err != nil {
			return err
		}
		registrations := c.handlers(i)
		if i == 0 {
			registrations = append(registrations, relayed.Handle(func(context.Context, piece) error { c.done.Add(1); return nil }),
				relaySafe.Handle(1, func(ctx context.Context, p piece) (piece, error) { return p, c.ask(ctx, ways[1], 0, p) }))
		}
		s, err := runService(ctx, c.networks[i+1], c.clients[i+1]["again"], registrations...)
		if err != nil {
			return err
		}
		c.services = append(c.services, s)
	}
	for i, l := range links {
		if err := awaitPeers(ctx, c.networks[i], l["once"].Address()); err != nil {
			return err
		}
	}
	return nil
}

// join opens one more network of the fabric, with a client for each way.
func (c *chain) join(ctx context.Context, fabric *mem.Fabric, name string) error {
	n, err := network.Open(ctx, "mem://", network.WithProcess(fabric.Process(name)), network.WithSource(name))
	if err != nil {
		return err
	}
	n.Faults = c.faults
	c.networks = append(c.networks, n)
	clients := make(map[string]*parley.Client)
	for _, w := range ways {
		if clients[w.name], err = parley.NewClient(name, n, silently(), parley.WithPolicy(w.policy)); err != nil {
			return err
		}
	}
	c.clients = append(c.clients, clients)
	return nil
}

func (c *chain) close(ctx context.Context) error {
	var errs []error
	for _, s := range c.services {
		errs = append(errs, s.close(ctx)) // and its network
	}
	for _, n := range c.networks {
		errs = append(errs, n.Close(ctx)) // closing twice does nothing
	}
	return errors.Join(errs...)
}

// handlers are those of link i: each asks the next link, if there is one, the way it was asked itself.
func (c *chain) handlers(i int) (all []parley.Registration) {
	for _, w := range ways {
		all = append(all, links[i][w.name].Handle(func(ctx context.Context, p piece) (piece, error) {
			if i == len(links)-1 {
				return p, nil
			}
			return p, c.ask(ctx, w, i+1, p)
		}))
	}
	return all
}

// ask asks link i.
func (c *chain) ask(ctx context.Context, w way, i int, p piece) (err error) {
	for range w.tries {
		if _, err = links[i][w.name].Call(ctx, c.clients[i][w.name], p); err == nil {
			return nil
		}
	}
	return err
}

// calls asks the first link one way.
func calls(name string) func(*chain, context.Context, piece) error {
	w := ways[slices.IndexFunc(ways, func(w way) bool { return w.name == name })]
	return func(c *chain, ctx context.Context, p piece) error { return c.ask(ctx, w, 0, p) }
}

func (c *chain) operation(ctx context.Context, p piece) error {
	_, err := relaySafe.Call(ctx, c.clients[0]["again"], p)
	return err
}

func (c *chain) command(ctx context.Context, p piece) error {
	_, err := relayed.Send(ctx, c.clients[0]["again"], p)
	return err
}

// do carries out the experiment that o names.
func (c *chain) do(ctx context.Context, o order) (figures, error) {
	at := slices.IndexFunc(experiments, func(e experiment) bool { return e.name == o.What })
	if at < 0 {
		return figures{}, fmt.Errorf("no experiment %q", o.What)
	}
	e := experiments[at]
	rules, err := fault.Parse(e.faults)
	if err == nil {
		err = c.faults.Set(rules)
	}
	if err != nil {
		return figures{}, err
	}
	n := int(float64(e.n) * float64(o.Rate) / 100)
	var served atomic.Int64
	var group errgroup.Group
	group.SetLimit(e.atOnce)
	c.done.Store(0)
	began := time.Now()
	for i := range n {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, doneLimit)
			defer cancel()
			if e.ask(c, ctx, piece{ID: fmt.Sprintf("piece-%d", i)}) == nil {
				served.Add(1)
			}
			return nil
		})
	}
	_ = group.Wait() // who was not served is not counted
	f := figures{Count: n, Took: time.Since(began), Chain: chainFigures{Served: int(served.Load())}}
	if e.counts == "relay" { // accepted is not done yet
		within, cancel := context.WithTimeout(ctx, doneLimit)
		defer cancel()
		poll(within, func() bool { return c.done.Load() >= served.Load() })
		f.Chain.Served = int(c.done.Load())
	}
	for _, s := range c.faults.Rules() {
		if strings.HasPrefix(s.Rule.Pattern, e.counts) {
			f.Chain.Attempts += s.Seen
		}
	}
	return f, errors.Join(c.faults.Set(nil))
}

// measureChains compares what arithmetic says about a chain with what happens.
func measureChains(ctx context.Context, c config, r *report) (err error) {
	p, err := start(ctx, c, setup{Role: "chain"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	t := sheet{
		Title:   "a chain of three links",
		Columns: []string{"requests", "served % predicted", "observed", "attempts at the last link, each, predicted", "observed"}, Digits: 3,
	}
	for _, e := range experiments {
		r.progress("styles")("%s", e.name)
		f, err := p.do(order{What: e.name, Rate: c.percent()})
		if err != nil {
			return err
		}
		t.Lines = append(t.Lines, line{e.name, []float64{
			float64(f.Count), e.predicted, 100 * float64(f.Chain.Served) / float64(f.Count), e.attempts, float64(f.Chain.Attempts) / float64(f.Count),
		}})
	}
	r.Sheets = append(r.Sheets, t)
	return nil
}
