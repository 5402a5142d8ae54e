package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"

	"github.com/parley-io/parley/examples/outside"
	"github.com/parley-io/parley/internal/demo"
)

const (
	// awaitLimit is how long an Await may take for what is done already. One of a message whose acceptance was not recorded,
	// because the process that had it confirmed was killed, takes all of it.
	awaitLimit = 5 * time.Second
	// asked is how many are asked about at once; most of them wait.
	asked = 128
	// shown bounds what is told one by one.
	shown = 10
)

// checker counts what is found about the confirmed messages.
type checker struct {
	client *parley.Client
	logs   *demo.Outside

	mu       sync.Mutex
	ended    int      // Waits with the outcome that the request implies
	returned int      // Awaits with a trail that is over
	expired  int      // Awaits that ended without one, because a gap hides what became of it
	agree    int      // trails that say what the outside logs say
	marked   []string // how the others differ, which say that they may be incomplete
	wrong    []error
}

// check awaits every confirmed message and compares its trail with the outside logs, and waits for every operation and
// compares its outcome, its steps and its undos with what its request implies.
func check(ctx context.Context, cast *demo.Cast, net *parley.Network, logs *demo.Outside) error {
	client, err := parley.NewClient("crash", net)
	if err != nil {
		return err
	}
	c := &checker{client: client, logs: logs}
	var asking errgroup.Group
	asking.SetLimit(asked)
	for _, m := range logs.Confirmed {
		asking.Go(func() error { c.one(ctx, m); return nil })
	}
	begun := logs.Begun()
	for _, x := range begun {
		asking.Go(func() error { c.operation(ctx, x); return nil })
	}
	_ = asking.Wait() // nobody fails: c counts
	for _, problem := range logs.Problems() {
		c.wrong = append(c.wrong, errors.New(problem))
	}
	cast.Sayf("%d confirmed messages: %d Awaits returned with all done, %d without a trail to its end beside a gap, %d otherwise",
		len(logs.Confirmed), c.returned, c.expired, len(logs.Confirmed)-c.returned-c.expired)
	cast.Sayf("%d operations: %d Waits returned with what was to come of them, %d otherwise", len(begun), c.ended, len(begun)-c.ended)
	cast.Sayf("trails: %d agree with the outside logs, %d do not and mark their gap", c.agree, len(c.marked))
	for _, m := range c.marked[:min(len(c.marked), shown)] {
		cast.Sayf("  %s", m)
	}
	if len(c.wrong) > shown {
		c.wrong = append(c.wrong[:shown], fmt.Errorf("and %d more", len(c.wrong)-shown))
	}
	return errors.Join(c.wrong...)
}

// operation waits for an operation that is over: a second time where the answer came too late.
func (c *checker) operation(ctx context.Context, x *outside.Operation) {
	within, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	err := waitFor(within, c.client, x)
	if err != nil && within.Err() != nil {
		again, cancel := context.WithTimeout(ctx, awaitLimit)
		defer cancel()
		err = waitFor(again, c.client, x)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.wrong = append(c.wrong, err)
		return
	}
	c.ended++
}

// one awaits a message and compares.
func (c *checker) one(ctx context.Context, m outside.Message) {
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	began := time.Now()
	trail, err := c.client.Await(ctx, m.ID)
	late := time.Since(began) > 2*awaitLimit
	if len(trail.Hops) == 0 && parley.CodeOf(err) == parley.DeadlineExceeded { // the answer came too late to say why
		trail, err = c.follow(ctx, m.ID, err)
	}
	differs := c.differs(trail, m)

	c.mu.Lock()
	defer c.mu.Unlock()
	missing := demo.RecordsMissing(err) // then there is no trail that could mark it
	switch {
	case late:
		c.wrong = append(c.wrong, fmt.Errorf("Await(%s) returned %v after its deadline", m.ID, time.Since(began)-awaitLimit))
	case err == nil:
		c.returned++
	case missing, parley.CodeOf(err) == parley.DeadlineExceeded && len(trail.Gaps) > 0:
		c.expired++
	default:
		c.wrong = append(c.wrong, fmt.Errorf("Await(%s) = %w; its trail marks %d gaps", m.ID, err, len(trail.Gaps)))
	}
	switch {
	case differs == "":
		c.agree++
	case missing, len(trail.Gaps) > 0:
		c.marked = append(c.marked, fmt.Sprintf("%s: %s; %d gaps, such as %q (Await: %v after %v)", m.ID, differs, len(trail.Gaps), trail.Gaps[:min(len(trail.Gaps), 1)], err, time.Since(began).Round(time.Millisecond)))
	default:
		c.wrong = append(c.wrong, fmt.Errorf("trail of %s: %s, and no gap is marked", m.ID, differs))
	}
}

// follow is the trail of a message with a little more time than an Await had that failed with err, and what is to be
// said of that Await then.
func (c *checker) follow(ctx context.Context, id parley.MessageID, err error) (parley.Trail, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), awaitLimit)
	defer cancel()
	switch trail, unknown := c.client.Follow(ctx, id); {
	case unknown != nil:
		return trail, unknown
	case trail.Concluded():
		return trail, nil
	default:
		return trail, err
	}
}

// differs is how a trail differs from the outside logs; "" = not at all.
func (c *checker) differs(trail parley.Trail, m outside.Message) string {
	i := slices.IndexFunc(trail.Hops, func(h ledger.Hop) bool { return h.ID == string(m.ID) })
	if i < 0 {
		return "the message is not in it"
	}
	hop := trail.Hops[i]
	if hop.Accepted.IsZero() {
		return "its acceptance is not in it"
	}
	for _, group := range c.logs.Receivers(m) {
		name := group
		if name == "" {
			name = m.Address // a command's receiver
		}
		handled := c.logs.Handled[outside.Receipt{ID: m.ID, Group: group}] > 0
		j := slices.IndexFunc(hop.Receivers, func(r ledger.Receiver) bool { return r.Group == name })
		if j < 0 {
			return name + " is not in it"
		}
		if state := hop.Receivers[j].State; handled != (state == ledger.Handled) {
			return fmt.Sprintf("%s is %s in it, and the outside log says handled = %v", name, state, handled)
		}
	}
	return ""
}
