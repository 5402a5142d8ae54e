package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley"
)

// stylist is the caller of both stories, in all styles. It learns from the log what was done.
type stylist struct {
	net    *parley.Network
	client *parley.Client
	log    string
	asked  int                // pieces so far
	during map[string]figures // what was found while the backend was down, by style
}

const (
	askerPatience = 2 * time.Second  // how long the caller waits for what it asked
	doneLimit     = 30 * time.Second // for the last piece to be done after the last one was asked
	lateAfter     = time.Second      // what takes longer than that from asking is done late
)

// The orders of a stylist, beside the name of a style.
const (
	orderOutage = "outage"     // all styles at once
	outageOf    = "outage of " // and a style: what was found then
)

// storyFigures are about pieces of work.
type storyFigures struct {
	DoneP50, DoneP99, DoneMax time.Duration // from asking to done, of what was accepted
	WaitMax                   time.Duration
	Failed                    int // the caller got an error
	Half                      int // of those: begun and never done
	Anyway                    int // of those: done nevertheless
	Late                      int // accepted, and done more than lateAfter after asking
	Lost                      int // accepted and not done
	Twice                     int // done more than once
}

func startStylist(ctx context.Context, s setup) (actor, string, error) {
	n, err := openNetwork(ctx, s.URL, "caller")
	if err != nil {
		return nil, "", err
	}
	a := &stylist{net: n, log: s.Log, during: make(map[string]figures)}
	if a.client, err = newClient("caller", n); err == nil {
		for _, address := range []string{shopNow.Address(), bankNow.Address()} {
			err = errors.Join(err, awaitPeers(ctx, n, address))
		}
	}
	if err != nil {
		return nil, "", errors.Join(err, n.Close(ctx))
	}
	return a, "", nil
}

func (a *stylist) close(ctx context.Context) error { return a.net.Close(ctx) }

func (a *stylist) do(ctx context.Context, o order) (figures, error) {
	if o.What == orderOutage {
		return figures{}, a.outage(ctx, o)
	}
	if f, ok := a.during[o.What]; ok {
		return f, nil
	}
	at := slices.IndexFunc(styles, func(s style) bool { return s.name == o.What })
	if at < 0 {
		return figures{}, fmt.Errorf("no style %q", o.What)
	}
	a.asked++
	asks := stream(ctx, a.client, styles[at], fmt.Sprintf("piece-%d-%d", at, a.asked), o)
	f, err := a.judge(ctx, asks)
	if err == nil && f.Story.Failed+f.Story.Lost > 0 {
		err = fmt.Errorf("%d of %d pieces failed and %d were lost with nothing wrong: %w", f.Story.Failed, f.Count, f.Story.Lost, firstError(asks))
	}
	return f, err
}

// outage asks in all styles at once, and keeps what it finds.
func (a *stylist) outage(ctx context.Context, o order) error {
	all := make([][]asking, len(styles))
	var streams sync.WaitGroup
	for i, s := range styles {
		streams.Go(func() { all[i] = stream(ctx, a.client, s, fmt.Sprintf("outage-%d", i), o) })
	}
	streams.Wait()
	for i, s := range styles {
		f, err := a.judge(ctx, all[i])
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		a.during[outageOf+s.name] = f
	}
	return nil
}

// asking is one piece and what its caller saw.
type asking struct {
	id     string
	at     time.Time
	waited time.Duration
	err    error
}

func firstError(asks []asking) error {
	for _, k := range asks {
		if k.err != nil {
			return k.err
		}
	}
	return nil
}

// stream asks o.Rate times a second, whatever became of those before.
func stream(ctx context.Context, c *parley.Client, s style, prefix string, o order) []asking {
	asks := make([]asking, int(o.For.Seconds()*float64(o.Rate)))
	var group errgroup.Group
	began := time.Now()
	for i := range asks {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(o.Rate))
		time.Sleep(time.Until(due))
		group.Go(func() error {
			k := &asks[i]
			k.id, k.at = fmt.Sprintf("%s-%d", prefix, i), time.Now()
			ctx, cancel := context.WithTimeout(ctx, askerPatience)
			defer cancel()
			k.err = s.ask(ctx, c, piece{ID: k.id})
			k.waited = time.Since(k.at)
			return nil
		})
	}
	_ = group.Wait() // errors are kept with what they are of
	return asks
}

// judge waits until everything that was accepted is done, or doneLimit is over, and compares what the callers saw with
// the log.
func (a *stylist) judge(ctx context.Context, asks []asking) (figures, error) {
	within, cancel := context.WithTimeout(ctx, doneLimit)
	defer cancel()
	var begun map[string]bool
	var done map[string][]time.Time
	var err error
	poll(within, func() bool {
		begun, done, err = readLog(a.log)
		return err != nil || !slices.ContainsFunc(asks, func(k asking) bool { return k.err == nil && len(done[k.id]) == 0 })
	})
	if err != nil {
		return figures{}, err
	}
	var waits, dones []time.Duration
	var s storyFigures
	for _, k := range asks {
		waits = append(waits, k.waited)
		ends := done[k.id]
		if len(ends) > 1 {
			s.Twice++
		}
		switch {
		case k.err == nil && len(ends) == 0:
			s.Lost++
		case k.err == nil:
			took := ends[0].Sub(k.at)
			dones = append(dones, took)
			if took > lateAfter {
				s.Late++
			}
		default:
			s.Failed++
			if len(ends) > 0 {
				s.Anyway++
			} else if begun[k.id] {
				s.Half++
			}
		}
	}
	f := figures{Count: len(asks)}
	f.P50, f.P99 = percentiles(waits)
	s.DoneP50, s.DoneP99 = percentiles(dones)
	if len(waits) > 0 {
		s.WaitMax = waits[len(waits)-1]
	}
	if len(dones) > 0 {
		s.DoneMax = dones[len(dones)-1]
	}
	f.Story = s
	return f, nil
}

// readLog reads what the backend wrote; see [backend.note].
func readLog(name string) (begun map[string]bool, done map[string][]time.Time, err error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	begun, done = make(map[string]bool), make(map[string][]time.Time)
	for l := range bytes.Lines(content) {
		words := bytes.Fields(l)
		if len(words) != 3 {
			return nil, nil, fmt.Errorf("log %s: line %q", name, l)
		}
		ns, err := strconv.ParseInt(string(words[2]), 10, 64)
		if err != nil {
			return nil, nil, fmt.Errorf("log %s: %w", name, err)
		}
		id := string(words[1])
		switch string(words[0]) {
		case wordBegun:
			begun[id] = true
		case wordDone:
			done[id] = append(done[id], time.Unix(0, ns))
		}
	}
	return begun, done, nil
}
