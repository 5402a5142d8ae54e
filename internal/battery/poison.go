package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
)

// mixPoison sends good messages alone, and then a mixture with those that fail, are slow, too large, or strange; the
// dead letters must be exactly those that can't be handled.
func mixPoison(ctx context.Context, s *stage, _ *proxy) error {
	const publishers, lanes, perSecond = 2, 40, 1000
	every := lapse(time.Second) * publishers * lanes / perSecond
	var handlers, before, mixture []task
	for i := range 4 {
		handlers = append(handlers, task{Verb: "handle", Name: fmt.Sprintf("handler%d", i), Concurrency: 64, Free: true})
	}
	for i := range publishers {
		t := task{Verb: "publish", Name: fmt.Sprintf("before%d", i), Lanes: lanes, Every: every, Free: true, Most: s.count(125, 25)}
		before = append(before, t)
		t.Name, t.Mixed, t.Most = fmt.Sprintf("mixed%d", i), true, s.count(1250, 100)
		mixture = append(mixture, t)
	}
	if _, err := s.start(ctx, handlers...); err != nil {
		return err
	}
	for _, tasks := range [][]task{before, mixture} {
		sending, err := s.start(ctx, tasks...)
		if err != nil {
			return err
		}
		for _, p := range sending {
			<-p.gone // it ends by itself
			if p.err != nil {
				return fmt.Errorf("%s: %w; its log is in %s", p.name, p.err, s.crew.dir)
			}
		}
	}
	p99 := s.book.goodLatency("before", .99)
	mixed := s.book.goodLatency("mixed", .99)
	s.figuref("good ones, send to handled, p99 alone and in the mixture", "%v %v", short(p99), short(mixed))
	if p99 = max(p99, leastBaseline); mixed > 2*p99 {
		s.problemf("good messages took %v in the mixture (p99); want at most twice the %v that they take alone", short(mixed), short(p99))
	}
	if err := s.buried(ctx); err != nil {
		return err
	}
	return s.finish(ctx, false)
}

// leastBaseline is below what a busy machine can tell apart.
const leastBaseline = 25 * time.Millisecond

// goodLatency is a quantile of the time from sending to handling of good messages whose lanes begin so.
func (b *book) goodLatency(prefix string, q float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []time.Duration
	for name, l := range b.lanes {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		for _, e := range l.entries {
			if e.kind == good && e.ended > 0 {
				all = append(all, time.Duration(e.ended-e.sent))
			}
		}
	}
	slices.Sort(all)
	return quantile(all, q)
}

// buried compares the dead letters with what can't be handled, until they agree or it has waited long enough.
func (s *stage) buried(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, quietLimit)
	defer cancel()
	want := make(map[string]int) // attempts by id
	refused := 0
	s.book.with(func() { refused = s.book.unhandleable(want) })
	net, err := network.Open(patient, s.site.url(), network.WithSource("judge"))
	if err != nil {
		return err
	}
	defer net.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it has only read
	var differs []string
	for {
		found, err := deadLetters(patient, net.Messages)
		if err != nil {
			return err
		}
		if differs = compare(want, found); len(differs) == 0 || !sleep(patient, time.Second) {
			break
		}
	}
	s.figuref("dead letters wanted", "%d", len(want))
	s.figuref("refused as too large", "%d", refused)
	if len(differs) > 0 {
		s.problemf("%d dead letters differ from what can't be handled: %s", len(differs), clip(differs))
	}
	return nil
}

// unhandleable fills in the attempts that each stored message that can't be handled has to get, and answers how many were
// refused; those that should have been and were not, and the others that were, are noted as wrong. mu is held.
func (b *book) unhandleable(attemptsOf map[string]int) (refused int) {
	for _, l := range b.lanes {
		for i, e := range l.entries {
			id := fmt.Sprintf("%s-%d", l.name, i+1)
			switch {
			case e.refused && e.kind == oversize:
				refused++
			case e.refused || e.kind == oversize:
				b.wrong = append(b.wrong, fmt.Sprintf("%s (%s): refused = %v", id, e.kind, e.refused))
			case e.kind == poison:
				attemptsOf[id] = attempts
			case e.kind == stranger:
				attemptsOf[id] = 1
			}
		}
	}
	return refused
}

// deadLetters are all that there are, with their attempts; -1 for one that is there twice.
func deadLetters(ctx context.Context, b transport.Broker) (map[string]int, error) {
	found := make(map[string]int)
	var wrong error
	err := b.Receive(ctx, transport.Route{
		Channel: delivery.DeadLetters(), From: transport.Position{Start: true}, Until: transport.Position{Time: time.Now()},
	}, func(d *transport.Delivery) {
		defer d.Settle(transport.Done)
		letter, _, err := delivery.ReadDeadLetter(d.Envelope)
		switch {
		case err != nil:
			wrong = err
		case letter == nil:
		case found[letter.ID] != 0:
			found[letter.ID] = -1
		default:
			found[letter.ID] = letter.Attempts
		}
	})
	if err == nil {
		err = wrong
	}
	return found, err
}

// compare says how attempts differ.
func compare(want, found map[string]int) (differs []string) {
	for id, n := range want {
		if found[id] != n {
			differs = append(differs, fmt.Sprintf("%s: %d attempts, want %d", id, found[id], n))
		}
	}
	for id := range found {
		if want[id] == 0 {
			differs = append(differs, id+" was good")
		}
	}
	slices.Sort(differs)
	return differs
}
