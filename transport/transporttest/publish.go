package transporttest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

func confirmedIsDurable(ctx context.Context, s *Scene, site Site) {
	if site.Kill == nil {
		s.NotRunf("the target cannot kill its broker: no Kill")
	}
	s.confirmedSurvives(ctx, site.Connect(ctx, s), "it was killed", s.Count(5, 50), site.Kill)
}

// confirmedSurvives does something to the broker again and again under load, right after confirmations, on one channel
// that is old by then and one that is new each time.
func (s *Scene) confirmedSurvives(ctx context.Context, b transport.Broker, what string, rounds int, do func(context.Context) error) {
	log := newAccount()
	c := s.channel(ctx, b, transport.Queue, 4)
	channels := []transport.Channel{c}
	for round := range rounds {
		fresh := transport.Channel{Address: s.Address(), Pattern: transport.Queue}
		s.declareAgain(ctx, b, fresh) // b may still be on its way back
		channels = append(channels, fresh)
		others := loads(ctx, s, log, b, c, fmt.Sprintf("load-%d", round))
		for i := range 10 {
			log.insist(ctx, s, b, message(c, fmt.Sprintf("old-%d", round), "", i))
			log.insist(ctx, s, b, message(fresh, fmt.Sprintf("new-%d", round), "", i))
		}
		if err := do(ctx); err != nil {
			s.Fatalf("the broker, when %s: %v", what, err)
		}
		others()
	}
	log.insist(ctx, s, b, message(c, "last", "", 0))
	var receivers []*receiver
	for _, c := range channels {
		receivers = append(receivers, s.receive(ctx, b, transport.Route{Channel: c}, log.take("")))
	}
	log.settled(ctx, "")
	for _, r := range receivers {
		r.stop(ctx, s)
	}
	log.verify(s, "", faults{Duplicates: b.Features().Dedupe == 0, Unordered: true})
	s.Notef("%d times the broker came back after %s: %s", rounds, what, log.summary())
}

// loads publishes from a few goroutines until stop, once each message: what the broker answers is noted, whatever it is.
func loads(ctx context.Context, s *Scene, log *account, b transport.Broker, c transport.Channel, source string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var publishers sync.WaitGroup
	for p := range 4 {
		publishers.Go(func() {
			const size = 8
			for n := 0; n < 4000 && ctx.Err() == nil; n += size {
				batch := make([]*transport.Envelope, size)
				for i := range batch {
					batch[i] = message(c, fmt.Sprintf("%s-%d", source, p), "k", n+i)
				}
				if r := log.send(ctx, s, b, batch...); r[0].Err != nil {
					time.Sleep(10 * time.Millisecond) // the broker is away
				}
			}
		})
	}
	return func() {
		cancel()
		publishers.Wait()
	}
}

func killedPublisher(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	s.receive(ctx, b, transport.Route{Channel: c}, log.take(""))
	random := s.Random()
	rounds := s.Count(5, 50)
	for round := range rounds {
		source := fmt.Sprintf("killed-%d", round)
		line, heard, due := 1+random.IntN(400), 0, make(chan struct{})
		p := site.process(ctx, s, func(words []string) {
			log.hear(c, source, words)
			if heard++; heard == line {
				close(due)
			}
		}, "publish", c.Address, "0", source)
		select {
		case <-due:
		case <-p.ended:
			s.Fatalf("the publisher ended by itself after %d lines; want it to publish until it is killed", heard)
		case <-ctx.Done():
			s.Fatalf("the publisher said %d lines in time; want %d", heard, line)
		}
		p.kill()
	}
	log.mustSend(ctx, s, b, message(c, "last", "", 0))
	log.settled(ctx, "")
	log.empty(ctx, s, b, c, "")
	log.verify(s, "", faults{Unordered: true})
	s.Notef("publisher killed %d times: %s", rounds, log.summary())
}

// hear notes what a publishing worker says.
func (l *account) hear(c transport.Channel, source string, words []string) {
	if len(words) != 2 {
		return
	}
	one := []*transport.Envelope{{ID: words[1], Source: source, Address: c.Address}}
	switch words[0] {
	case "sending":
		l.sending(one...)
	case "stored":
		l.sent(one, []transport.Receipt{{}})
	case "rejected":
		l.sent(one, []transport.Receipt{{Err: transport.ErrNotSent}})
	}
}

func repeatsAndCopies(ctx context.Context, s *Scene, site Site) {
	log, b, other := newAccount(), site.Connect(ctx, s), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 2)
	s.declare(ctx, other, c)
	first := message(c, "repeat", "k", 0)
	as := func(id, twin string) *transport.Envelope {
		e := *first
		e.ID, e.Copy = id, twin
		return &e
	}
	log.mustSend(ctx, s, b, first)
	if b.Features().Dedupe > 0 {
		for range 3 {
			log.mustSend(ctx, s, b, first)
			log.mustSend(ctx, s, other, first)
		}
		log.mustSend(ctx, s, b, as("twin", ""), as("twin", ""), as("twin", "r1"), as("twin", "r1"))
	}
	log.mustSend(ctx, s, b, as(first.ID, "a2"), as(first.ID, "a3"), as(first.ID, "r1"))
	// Each pair is the same string when a driver joins ID and Copy with that separator.
	for _, sep := range []string{"", ".", ":", "/", "-", "|", "#", ",", "~", "%", "_"} {
		log.mustSend(ctx, s, b, as("x"+sep+"a1", ""), as("x", sep+"a1"), as("y"+sep+"a1", "r1"), as("y", "a1"+sep+"r1"))
	}
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{})

	elsewhere, there := newAccount(), s.channel(ctx, b, transport.Queue, 2)
	same := *first
	same.Address = there.Address
	elsewhere.mustSend(ctx, s, b, &same)
	elsewhere.drain(ctx, s, b, there)
	elsewhere.verify(s, "", faults{})
}

func undeclaredIsRefused(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	s.declare(ctx, b, c, c) // idempotent
	lost := message(c, "undeclared", "k", 0)
	for _, address := range []string{s.Address(), "", "Upper.case", "a..b", "a b", "a.*", "a.>", "a/b", strings.Repeat("a", transport.MaxAddress+1)} {
		lost.Address = address
		s.refused(b.Send(ctx, []*transport.Envelope{lost}), "sending to address "+strconv.Quote(address))
	}
	if err := b.Declare(ctx, []transport.Channel{{Address: "No.Address", Pattern: 9, Partitions: -1}}); err == nil {
		s.Errorf("Declare of an impossible channel = nil; want an error")
	}

	five := s.channel(ctx, b, transport.Queue, 5)
	three, topic, short := five, five, five
	three.Partitions, topic.Pattern, short.Retain = 3, transport.Topic, time.Hour
	s.conflict(ctx, site.Connect(ctx, s), three, "5", "3")
	s.conflict(ctx, b, topic, "queue", "topic")
	s.conflict(ctx, b, short)
	log := newAccount()
	log.mustSend(ctx, s, b, messages(five, "after", 7, 20)...)
	log.drain(ctx, s, b, five)
	log.verify(s, "", faults{})

	nobody := s.channel(ctx, b, transport.Topic, 0)
	r := log.mustSend(ctx, s, b, message(nobody, "nobody", "k", 0))[0]
	if audience := b.Features().Audience; r.Groups != 0 && (audience || r.Groups != -1) {
		s.Errorf("publishing to a topic without groups: Receipt.Groups = %d; want 0, or -1 if the broker cannot tell; Features.Audience is %v", r.Groups, audience)
	}
}

func (s *Scene) refused(receipts []transport.Receipt, what string) {
	if len(receipts) != 1 || !errors.Is(receipts[0].Err, transport.ErrRefused) {
		s.Errorf("%s: got receipts %v; want one that wraps ErrRefused", what, receipts)
	}
}

// conflict declares a channel that exists in another form; both forms must be named.
func (s *Scene) conflict(ctx context.Context, b transport.Broker, c transport.Channel, forms ...string) {
	err := b.Declare(ctx, []transport.Channel{c})
	if err == nil {
		s.Errorf("Declare(%+v) of a channel that exists in another form = nil; want an error", c)
		return
	}
	said := strings.ReplaceAll(err.Error(), c.Address, "")
	for _, form := range forms {
		if !strings.Contains(said, form) {
			s.Errorf("Declare(%+v) = %v; want an error that names both forms, among them %q", c, err, form)
		}
	}
}

func oversizeIsRefused(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	limit := b.Features().MaxBytes
	sized := func(n, size int) *transport.Envelope {
		e := message(c, "sized", "k", n)
		e.Headers = map[string]string{"h": strings.Repeat("x", 1000)}
		e.Body = nil
		e.Body = make([]byte, size-e.Size())
		return e
	}
	for i, size := range []int{limit + 1, limit * 2, limit * 5} {
		s.refused(log.send(ctx, s, b, sized(i, size)), fmt.Sprintf("sending %d bytes of %d allowed", size, limit))
		log.mustSend(ctx, s, b, message(c, "after", "k", i))
	}
	log.mustSend(ctx, s, b, sized(10, limit), sized(11, limit-1))
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{})
}

func cancelledSends(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 4)
	done, cancel := context.WithCancel(ctx)
	cancel()
	for i, r := range log.send(done, s, b, messages(c, "before", 2, 3)...) {
		if !errors.Is(r.Err, transport.ErrNotSent) {
			s.Errorf("receipt %d of a Send whose context was done before it = %v; want ErrNotSent", i, r.Err)
		}
	}
	began := time.Now()
	log.mustSend(ctx, s, b, messages(c, "unhurried", 4, 20)...)
	usual, rounds := time.Since(began), s.Count(40, 400)
	for round := range rounds {
		during, cancel := context.WithCancel(ctx)
		timer := time.AfterFunc(2*usual*time.Duration(round)/time.Duration(rounds), cancel) // a little later in each round
		log.send(during, s, b, messages(c, fmt.Sprintf("during-%d", round), 4, 20)...)
		timer.Stop()
		cancel()
	}
	log.mustSend(ctx, s, b, messages(c, "last", 4, 8)...)
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{})
	s.Notef("%s", log.summary())
}

func batchesAnswerOneByOne(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 4)
	if r := b.Send(ctx, nil); len(r) != 0 {
		s.Errorf("Send of nothing = %v; want no receipts", r)
	}
	bad := map[int]func(*transport.Envelope){
		3:  func(e *transport.Envelope) { e.Body = make([]byte, b.Features().MaxBytes+1) },
		11: func(e *transport.Envelope) { e.Address = s.Address() },
		12: func(e *transport.Envelope) { e.Headers = map[string]string{"Bad Name": "x"} },
		29: func(e *transport.Envelope) { e.ID = "" },
	}
	batch := messages(c, "batch", 3, 30)
	for i, spoil := range bad {
		spoil(batch[i])
	}
	for i, r := range log.send(ctx, s, b, batch...) {
		switch {
		case bad[i] != nil && !errors.Is(r.Err, transport.ErrRefused):
			s.Errorf("receipt %d, of a message that cannot be carried = %v; want ErrRefused", i, r.Err)
		case bad[i] == nil && r.Err != nil:
			s.Errorf("receipt %d, beside messages that cannot be carried = %v; want it stored", i, r.Err)
		}
	}
	log.mustSend(ctx, s, b, messages(c, "large", 7, s.Count(500, 5000))...)
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{})
}

func concurrentPublishers(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 8)
	senders := []transport.Broker{b, site.Connect(ctx, s)}
	s.declare(ctx, senders[1], c)
	s.receive(ctx, b, transport.Route{Channel: c, Credit: transport.NewCredit(32)}, func(d *transport.Delivery) {
		log.took("", d.Envelope)
		if want := c.Partition(d.Envelope.Key); d.Partition != want {
			s.Errorf("message %s with key %q: Partition = %d; want %d", d.Envelope.ID, d.Envelope.Key, d.Partition, want)
		}
		s.Go(func() { d.Settle(transport.Done) })
	})
	var publishers sync.WaitGroup
	for p := range 64 {
		publishers.Go(func() {
			each := messages(c, fmt.Sprintf("p%d", p), 4, s.Count(16, 400))
			for len(each) > 0 { // singly and in batches
				n := min(1+len(each)%5, len(each))
				log.send(ctx, s, senders[p%2], each[:n]...)
				each = each[n:]
			}
		})
	}
	publishers.Wait()
	if got, want := log.confirmations(), 64*s.Count(16, 400); got != want {
		s.Errorf("got %d of %d messages confirmed; want all, as no fault was made", got, want)
	}
	log.settled(ctx, "")
	log.empty(ctx, s, b, c, "")
	log.verify(s, "", faults{})
}
