package deliverytest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

var errDeclined = errors.New("card declined")

// quick is a schedule of four attempts that a test can wait for.
func quick() delivery.Retries {
	return delivery.Retries{Set: true, Immediate: 1, Delays: []time.Duration{200 * time.Millisecond, 400 * time.Millisecond}}
}

func handled(context.Context, *transport.Envelope) error  { return nil }
func declined(context.Context, *transport.Envelope) error { return errDeclined }

func panics(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	c := g.channel(transport.Queue, 0)
	const workers, bad, good = 2, 6, 20
	consumer := g.consume(ctx, delivery.Subscription{Channel: c, Concurrency: workers, Retries: quick(),
		Handle: func(_ context.Context, e *transport.Envelope) error {
			switch {
			case strings.HasPrefix(e.ID, "good"), len(g.triesOf(c.Address, e.ID)) > 1:
				return nil
			case strings.HasPrefix(e.ID, "panic"):
				panic("a defect")
			}
			runtime.Goexit()
			return nil
		}})
	var batch []*transport.Envelope
	for i := range bad {
		batch = append(batch, message(c, fmt.Sprintf("panic-%d", i), ""), message(c, fmt.Sprintf("goexit-%d", i), ""))
	}
	for i := range good {
		batch = append(batch, message(c, fmt.Sprintf("good-%d", i), ""))
	}
	g.send(ctx, batch...)
	for _, e := range batch {
		want := 2
		if strings.HasPrefix(e.ID, "good") {
			want = 1
		}
		if got := len(g.tried(ctx, c.Address, e.ID, want)); got != want {
			g.Errorf("message %s: got %d attempts; want %d", e.ID, got, want)
		}
	}
	consumer.stop(ctx)
	if got := consumer.Status(); got.Failed != 2*bad || got.Handled != 2*bad+good {
		g.Errorf("got %d failed attempts and %d handled; want %d and %d", got.Failed, got.Handled, 2*bad, 2*bad+good)
	}
}

func poison(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	retries := delivery.Retries{Set: true, Immediate: 1, Delays: []time.Duration{2 * time.Second, 2 * time.Second}} // time for the others
	for _, partitions := range []int{0, 3} {
		c := g.channel(transport.Queue, partitions)
		consumer := g.consume(ctx, delivery.Subscription{Channel: c, Concurrency: 4, Retries: retries,
			Handle: func(_ context.Context, e *transport.Envelope) error {
				if strings.HasPrefix(e.ID, "poison") {
					return errDeclined
				}
				return nil
			}})
		var poisons, others []*transport.Envelope
		for i := range 5 {
			poisons = append(poisons, message(c, fmt.Sprintf("poison-%d", i), fmt.Sprintf("bad-%d", i)))
		}
		for i := range 40 {
			others = append(others, message(c, fmt.Sprintf("other-%d", i), fmt.Sprintf("good-%d", i%7)))
		}
		began := time.Now()
		g.send(ctx, poisons...)
		g.send(ctx, others...)
		for _, e := range others {
			g.tried(ctx, c.Address, e.ID, 1)
		}
		if len(g.deadOf(c.Address, poisons[0].ID)) > 0 {
			g.Errorf("the others were handled only after a poison message was dead; want them to go on meanwhile")
		}
		for _, e := range poisons {
			d := g.buried(ctx, c.Address, e.ID, 1)
			g.deadLetter(d, e, retries.Attempts(), began)
		}
		consumer.stop(ctx)
		for _, e := range slices.Concat(poisons, others) {
			want := 1
			if strings.HasPrefix(e.ID, "poison") {
				want = retries.Attempts()
			}
			if got := len(g.triesOf(c.Address, e.ID)); got != want {
				g.Errorf("message %s: got %d attempts; want exactly %d", e.ID, got, want)
			}
		}
	}
}

// deadLetter wants d to be what a redrive of e needs.
func (g *stage) deadLetter(d *delivery.DeadLetter, e *transport.Envelope, attempts int, began time.Time) {
	if d.ID != e.ID || d.Attempts != attempts || !strings.Contains(d.Reason, errDeclined.Error()) || d.Permanent {
		g.Errorf("dead letter of %s: got id %q, %d attempts, reason %q, permanent %v; want %d attempts and %q",
			e.ID, d.ID, d.Attempts, d.Reason, d.Permanent, attempts, errDeclined)
	}
	if d.First.Before(began.Add(-time.Second)) || d.Last.Before(d.First) || d.Last.After(time.Now().Add(time.Second)) {
		g.Errorf("dead letter of %s: got first %v, last %v; want times of the attempts since %v", e.ID, d.First, d.Last, began)
	}
	original, err := d.Original()
	if err != nil {
		g.Fatalf("dead letter of %s: %v", e.ID, err)
	}
	g.same("dead letter of "+e.ID, original, e)
	if c, err := d.Channel(); err != nil || c.Address != e.Address {
		g.Errorf("dead letter of %s: got channel %+v, %v; want %s", e.ID, c, err, e.Address)
	}
}

func redrive(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	never := delivery.Retries{Set: true}
	times := 1
	if g.broker.Features().Dedupe > 0 {
		times = 2 // the same dead letter becomes the same copy: redriving twice is once
	}
	for _, pattern := range []transport.Pattern{transport.Queue, transport.Topic} {
		for _, partitions := range []int{0, 3} {
			c := g.channel(pattern, partitions)
			subscription := delivery.Subscription{Channel: c, Retries: never}
			if pattern == transport.Topic {
				subscription.Group = "redriven-group"
			}
			receiver := cmp.Or(subscription.Group, c.Address)
			failures := 2
			subscription.Handle = func(_ context.Context, e *transport.Envelope) error {
				if len(g.triesOf(receiver, e.ID)) <= failures {
					return errDeclined
				}
				return nil
			}
			consumer := g.consume(ctx, subscription)
			e := message(c, "redriven-"+pattern.String()+strconv.Itoa(partitions), "k")
			g.send(ctx, e)
			copies := []string{""}
			for n := 1; n <= failures; n++ {
				d := g.buried(ctx, receiver, e.ID, n)
				for range times {
					if err := delivery.Redrive(ctx, g.broker, ledger.Discard, d, "conform"); err != nil {
						g.Fatalf("Redrive: %v", err)
					}
				}
				tries := g.tried(ctx, receiver, e.ID, n+1)
				last := tries[n]
				if slices.Contains(copies, last.copy) || last.envelope.Attempt > 1 {
					g.Errorf("redrive %d of %s: got copy %q, attempt %d; want a copy that is none of %q, attempt 1", n, e.ID, last.copy, last.envelope.Attempt, copies)
				}
				copies = append(copies, last.copy)
				g.same("redriven "+e.ID, last.envelope, e)
			}
			consumer.stop(ctx)
			if got, want := len(g.triesOf(receiver, e.ID)), failures+1; got != want {
				g.Errorf("message %s: handlers ran %d times; want %d", e.ID, got, want)
			}
		}
	}
}

func schedule(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	lane := g.channel(transport.Queue, 2)
	short := []time.Duration{300 * time.Millisecond, time.Second}
	g.consume(ctx, delivery.Subscription{Channel: lane, Retries: delivery.Retries{Set: true, Delays: short}, Handle: declined})
	g.send(ctx, message(lane, "keyed", "k"))
	g.buried(ctx, lane.Address, "keyed", 1)
	g.onTime("keyed", g.triesOf(lane.Address, "keyed"), short, time.Time{})

	c := g.channel(transport.Queue, 0)
	delays := []time.Duration{500 * time.Millisecond, 2 * time.Second, 3 * time.Second}
	retries := delivery.Retries{Set: true, Delays: delays}
	first := g.consume(ctx, delivery.Subscription{Channel: c, Retries: retries, Handle: declined})
	g.send(ctx, message(c, "late", ""))
	g.tried(ctx, c.Address, "late", 2)
	first.stop(ctx) // before the third attempt is due
	if site.Kill != nil {
		if err := site.Kill(ctx); err != nil {
			g.Fatalf("killing the broker: %v", err)
		}
	}
	back := time.Now() // it may have taken longer to start than the message had to wait
	g.consumeOn(ctx, site.Connect(ctx, s), delivery.Subscription{Channel: c, Retries: retries, Handle: declined})
	g.buried(ctx, c.Address, "late", 1)
	g.onTime("late, with restarts", g.triesOf(c.Address, "late"), delays, back)
}

// resume is how long everything may take to go on after the return of a broker, also on a machine that has much else to
// do; check 35 of package transporttest is about that time itself.
const resume = time.Minute

// onTime compares the pauses between attempts with the schedule. back is when everything was started again after the
// second attempt; zero = nothing was.
func (g *stage) onTime(what string, tries []try, delays []time.Duration, back time.Time) {
	if got, want := len(tries), len(delays)+1; got != want {
		g.Errorf("%s: got %d attempts; want %d", what, got, want)
		return
	}
	for i, want := range delays {
		last, next := tries[i].at, tries[i+1].at
		slack := max(want/5, 2*time.Second)
		latest := last.Add(want + slack)
		if resumed := back.Add(resume); last.Before(back) && latest.Before(resumed) {
			latest = resumed
		}
		if next.Sub(last) < want-want/5 || next.After(latest) {
			g.Errorf("%s: got attempt %d after %v; want it after %v, at most a fifth sooner and %v later", what, i+2, next.Sub(last), want, latest.Sub(last)-want)
		}
	}
}

func permanent(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	c := g.channel(transport.Queue, 0)
	consumer := g.consume(ctx, delivery.Subscription{Channel: c, Retries: quick(),
		Handle: func(_ context.Context, e *transport.Envelope) error {
			if e.ID == "good" {
				return nil
			}
			return fmt.Errorf("decoding: %w", delivery.Permanent(errDeclined))
		}})
	var sent []*transport.Envelope
	for i, body := range [][]byte{nil, {0}, []byte("\xff\xfe{not json"), []byte("{\n\n}"), []byte("\n"), bytes.Repeat([]byte{0xAA}, 100_000)} {
		e := message(c, fmt.Sprintf("unknown-%d", i), "")
		e.Body, e.ContentType = body, "application/octet-stream"
		sent = append(sent, e)
	}
	g.send(ctx, append(sent, message(c, "good", ""))...)
	g.tried(ctx, c.Address, "good", 1)
	for _, e := range sent {
		d := g.buried(ctx, c.Address, e.ID, 1)
		original, err := d.Original()
		if err != nil {
			g.Fatalf("dead letter of %s: %v", e.ID, err)
		}
		g.same("dead letter of "+e.ID, original, e)
		if !d.Permanent || d.Attempts != 1 {
			g.Errorf("dead letter of %s: got permanent %v after %d attempts; want true after 1", e.ID, d.Permanent, d.Attempts)
		}
	}
	consumer.stop(ctx)
	for _, e := range sent {
		if got := len(g.triesOf(c.Address, e.ID)); got != 1 {
			g.Errorf("message %s: got %d attempts; want 1", e.ID, got)
		}
	}
}

func groupsAlone(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	c := g.channel(transport.Topic, 0)
	handlers := map[string]func(context.Context, *transport.Envelope) error{"mail": declined, "fraud": declined, "stock": handled}
	var consumers []*consumer
	for group, handle := range handlers {
		consumers = append(consumers, g.consume(ctx, delivery.Subscription{Channel: c, Group: group, Retries: quick(), Handle: handle}))
	}
	const n = 10
	var all []*transport.Envelope
	for i := range n {
		all = append(all, message(c, fmt.Sprintf("m-%d", i), ""))
	}
	g.send(ctx, all...)
	for _, e := range all {
		for _, group := range []string{"mail", "fraud"} {
			g.buried(ctx, group, e.ID, 1)
		}
	}
	for _, group := range []string{"mail", "fraud"} { // both redrive the same message
		if err := delivery.Redrive(ctx, g.broker, ledger.Discard, g.deadOf(group, "m-0")[0], "conform"); err != nil {
			g.Fatalf("Redrive: %v", err)
		}
	}
	for _, group := range []string{"mail", "fraud"} {
		g.buried(ctx, group, "m-0", 2)
	}
	for _, consumer := range consumers {
		consumer.stop(ctx)
	}
	for _, group := range []string{"stock", "mail", "fraud"} {
		for i, e := range all {
			want := quick().Attempts()
			switch {
			case group == "stock":
				want = 1
			case i == 0:
				want *= 2
			}
			if got := len(g.triesOf(group, e.ID)); got != want {
				g.Errorf("message %s at group %s: got %d attempts; want %d", e.ID, group, got, want)
			}
		}
	}
}

func trace(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	c := g.channel(transport.Topic, 0)
	g.consume(ctx, delivery.Subscription{Channel: c, Group: "traced", Retries: quick(), Handle: declined})
	e := message(c, "traced", "k")
	g.send(ctx, e)
	d := g.buried(ctx, "traced", e.ID, 1)
	g.deadLetter(d, e, quick().Attempts(), e.Time)
	if err := delivery.Redrive(ctx, g.broker, ledger.Discard, d, "conform"); err != nil {
		g.Fatalf("Redrive: %v", err)
	}
	g.buried(ctx, "traced", e.ID, 2)
	for i, t := range g.triesOf("traced", e.ID) {
		g.same(fmt.Sprintf("attempt %d", i+1), t.envelope, e)
	}
}
