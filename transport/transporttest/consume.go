package transporttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

func killedConsumer(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	random := s.Random()
	rounds, cut := s.Count(5, 50), 0
	for round := range rounds {
		log.mustSend(ctx, s, b, messages(c, fmt.Sprintf("m%d", round), 1, 40)...)
		begins, due, heard, ended := 1+random.IntN(30), make(chan struct{}), 0, 0
		p := site.process(ctx, s, func(words []string) {
			switch words[0] {
			case "begin":
				if heard++; heard == begins {
					close(due)
				}
			case "end":
				ended++
				log.took("", &transport.Envelope{ID: words[1]})
			}
		}, "receive", c.Address, "0")
		select {
		case <-due:
		case <-p.ended:
			s.Fatalf("the consumer ended by itself after it began %d messages; want it to handle until it is killed", heard)
		case <-ctx.Done():
			s.Fatalf("the consumer began %d messages in time; want %d", heard, begins)
		}
		p.kill()
		cut += heard - ended
	}
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{Duplicates: true, Unordered: true})
	s.Notef("consumer killed %d times in the middle of %d handlings: %s", rounds, cut, log.summary())
	if cut == 0 {
		s.Errorf("got no handling cut by %d kills; want some, else nothing was tried", rounds)
	}
	s.killedAfterwards(ctx, site, b)
}

// killedAfterwards kills a consumer that has settled everything a while ago.
func (s *Scene) killedAfterwards(ctx context.Context, site Site, b transport.Broker) {
	log, c := newAccount(), s.channel(ctx, b, transport.Queue, 0)
	log.mustSend(ctx, s, b, messages(c, "settled", 8, 40)...)
	p := site.process(ctx, s, func(words []string) {
		if words[0] == "end" {
			log.took("", &transport.Envelope{ID: words[1]})
		}
	}, "receive", c.Address, "0")
	log.settled(ctx, "")
	time.Sleep(settling) // some brokers do not count what is in flight
	soon, cancel := context.WithTimeout(ctx, settledLimit)
	defer cancel()
	_, _ = backlog(soon, s, b, c, "", func(n int64) bool { return n == 0 }) // what was not told by then comes again
	p.kill()
	log.mustSend(ctx, s, b, messages(c, "last", 8, 40)...)
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{Unordered: true})
}

// settling is how long the news of what was settled may take to the broker: drivers gather it. Where the broker's backlog
// shows that it takes longer on a machine that is busy, it may take settledLimit more.
const (
	settling     = 1500 * time.Millisecond
	settledLimit = 5 * time.Second
)

// lateness is how long after its time a message may come: NATS was measured at 0.65 s with 10,000 pending, and a
// machine that is busy with tests is slower.
const lateness = 2 * time.Second

func notBefore(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	if b.Features().Delay == 0 {
		s.Fatalf("Features.Delay = 0: this broker carries no NotBefore; want a declaration that says so")
	}
	c := s.channel(ctx, b, transport.Queue, 0)
	topic := s.channel(ctx, b, transport.Topic, 0)
	log, delays := newAccount(), []time.Duration{5 * time.Second, 300 * time.Millisecond, 700*time.Millisecond + 1, -time.Hour}
	s.firstDelay(ctx, b)
	var mu sync.Mutex
	came := make(map[string][]time.Time) // by ID
	take := func(d *transport.Delivery) {
		mu.Lock()
		came[d.Envelope.ID] = append(came[d.Envelope.ID], time.Now())
		mu.Unlock()
		log.take("g")(d)
	}
	s.receive(ctx, b, transport.Route{Channel: c}, take)
	s.receive(ctx, b, transport.Route{Channel: topic, Group: "g"}, take)
	s.receive(ctx, b, transport.Route{Channel: topic, Group: "h"}, log.take("h"))
	began := time.Now()
	for i := range delays {
		var batch []*transport.Envelope
		for _, channel := range []transport.Channel{c, topic} {
			e := message(channel, "later", "k", i)
			e.NotBefore = began.Add(delays[i])
			if channel.Pattern == transport.Topic {
				e.Group, e.Copy = "g", "a4"
			}
			batch = append(batch, e)
		}
		log.mustSend(ctx, s, b, batch...)
		if b.Features().Dedupe > 0 {
			log.mustSend(ctx, s, b, batch...)
		}
	}
	log.mustSend(ctx, s, b, message(c, "prompt", "k", 0))
	log.until(ctx, func() bool { return log.handledBy("g", "prompt-0") })
	if time.Since(began) > delays[0] {
		s.Errorf("a message without NotBefore came after one that was to wait %v; want it at once", delays[0])
	}
	log.settled(ctx, "g")
	log.verify(s, "g", faults{Unordered: true})
	mu.Lock()
	defer mu.Unlock()
	for i, delay := range delays {
		id := fmt.Sprintf("later-%d", i)
		for _, at := range came[id] {
			if after := at.Sub(began.Add(delay)); after < 0 || delay > 0 && after > lateness {
				s.Errorf("message %s came %v after its time; want 0s to %v", id, after, lateness)
			}
		}
	}
	if got := log.count("h"); got != 0 {
		s.Errorf("group h got %d delayed copies that were for group g; want none", got)
	}
}

// firstDelay waits until the broker carries delays at all: what moves them may start with the first one.
func (s *Scene) firstDelay(ctx context.Context, b transport.Broker) {
	log, c := newAccount(), s.channel(ctx, b, transport.Queue, 0)
	first := message(c, "first", "k", 0)
	first.NotBefore = time.Now().Add(100 * time.Millisecond)
	log.mustSend(ctx, s, b, first)
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{})
	s.Notef("the first delay ended %v late", time.Since(first.NotBefore).Round(time.Millisecond))
}

func bodiesAreOpaque(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	largest := make([]byte, b.Features().MaxBytes-64) // 64: the key counts too
	chacha := rand.NewChaCha8([32]byte{24})
	_, _ = chacha.Read(largest) // never fails
	bodies := [][]byte{nil, {}, {0}, []byte("x"), all, []byte("\xff\xfe{not json"), []byte("{"), []byte("a\r\nb\r\n\r\n"),
		[]byte(" padded "), []byte(strings.Repeat("compress me ", 1000)), largest}
	var sent []*transport.Envelope
	c := s.channel(ctx, b, transport.Queue, 0)
	for i, body := range bodies {
		e := message(c, "body", "k", i)
		e.Body = body
		if i%2 == 0 {
			e.ContentType = "application/octet-stream"
		}
		sent = append(sent, e)
	}
	s.roundTrip(ctx, b, c, sent)
}

// roundTrip sends envelopes and compares what arrives with them.
func (s *Scene) roundTrip(ctx context.Context, b transport.Broker, c transport.Channel, sent []*transport.Envelope) {
	log := newAccount()
	want := make(map[identity]*transport.Envelope)
	for _, e := range sent {
		want[identify(e)] = e
	}
	log.mustSend(ctx, s, b, sent...)
	r := s.receive(ctx, b, transport.Route{Channel: c}, func(d *transport.Delivery) {
		if e := want[identify(d.Envelope)]; e != nil {
			for _, what := range Differences(e, d.Envelope) {
				s.Errorf("message %v: %s", identify(e), what)
			}
		}
		log.take("")(d)
	})
	log.settled(ctx, "")
	r.stop(ctx, s)
	log.verify(s, "", faults{Unordered: true})
}

func competingConsumers(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	rounds := s.Count(4, 10)
	shares := make([]int, rounds+2) // by consumer, guarded by mu
	var mu sync.Mutex
	consume := func(i int) *receiver {
		own := site.Connect(ctx, s)
		return s.receive(ctx, own, transport.Route{Channel: c, Credit: transport.NewCredit(16)}, func(d *transport.Delivery) {
			s.Go(func() {
				time.Sleep(time.Millisecond) // a handler's work
				mu.Lock()
				shares[i]++
				mu.Unlock()
				log.take("")(d)
			})
		})
	}
	consumers := []*receiver{consume(0), consume(1)}
	load := s.press(ctx, log, b, c) // until the last one has come and gone, however long that takes
	for i := range rounds {
		goal := log.count("") + s.Count(50, 500)
		log.until(ctx, func() bool { return log.count("") >= goal })
		consumers = append(consumers, consume(i+2))
		consumers[i].stop(ctx, s)
	}
	load.stop()
	log.settled(ctx, "")
	log.empty(ctx, s, b, c, "")
	log.verify(s, "", faults{Unordered: true})
	mu.Lock()
	defer mu.Unlock()
	s.Notef("messages by consumer: %v", shares)
	if slices.Max(shares) == log.count("") {
		s.Errorf("messages by consumer = %v; want them shared", shares)
	}
}

func fanOut(ctx context.Context, s *Scene, site Site) {
	b, other := site.Connect(ctx, s), site.Connect(ctx, s)
	patterns := []transport.Pattern{transport.Topic}
	if b.Features().Streams {
		patterns = append(patterns, transport.Stream)
	}
	var all sync.WaitGroup
	for _, p := range patterns {
		for _, partitions := range []int{0, 3} {
			c := s.channel(ctx, b, p, partitions)
			s.declare(ctx, other, c)
			all.Go(func() { s.fanOut(ctx, b, other, c) }) // beside each other, because joining a group may take seconds
		}
	}
	all.Wait()
}

func (s *Scene) fanOut(ctx context.Context, b, other transport.Broker, c transport.Channel) {
	log, n := newAccount(), s.Count(50, 1000)
	faults := faults{Unordered: c.Partitions == 0}
	route := func(group string) transport.Route { return transport.Route{Channel: c, Group: group} }
	stock := s.begin(ctx, other, route("stock"), log.take("stock"))
	receivers := []*receiver{stock, s.begin(ctx, b, route("mail"), log.take("mail")), s.begin(ctx, other, route("fraud"), log.take("fraud"))}
	if c.Partitions == 0 { // several processes on one partitioned channel are another promise
		receivers = append(receivers, s.begin(ctx, other, route("mail"), log.take("mail")))
	}
	for _, r := range receivers {
		r.await(ctx, s)
	}
	want := -1
	if b.Features().Audience {
		want = 3
	}
	for i, r := range log.mustSend(ctx, s, b, messages(c, "all", 5, n)...) {
		if r.Groups != want {
			s.Errorf("%v: receipt %d: Groups = %d; want %d, as Features.Audience is %v", c.Pattern, i, r.Groups, want, b.Features().Audience)
			break
		}
	}
	log.settled(ctx, "mail", "stock", "fraud")

	stock.stop(ctx, s) // a registered group gets what was sent while nobody received for it
	log.mustSend(ctx, s, b, messages(c, "meanwhile", 5, n)...)
	var copies []*transport.Envelope
	for i, e := range messages(c, "all", 5, 10) { // as two groups that failed the same messages send them
		for _, group := range []string{"stock", "mail"} {
			again := *e
			again.Group, again.Copy, again.Attempt = group, []string{"a4", "r1"}[i%2], 4
			copies = append(copies, &again)
		}
	}
	log.mustSend(ctx, s, b, copies...)
	s.receive(ctx, other, route("stock"), log.take("stock"))
	log.mustSend(ctx, s, b, messages(c, "last", 5, 5)...)
	log.settled(ctx, "mail", "stock", "fraud")
	for _, group := range []string{"mail", "stock", "fraud"} {
		log.empty(ctx, s, b, c, group)
		log.verify(s, group, faults)
	}
}

func identityIsStable(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	ids := []string{"a", "A", "a.b", "a*b", "a>b", "*", ">", ".", "..", "a/b", "%41", "%", "\"", "'", "\\", "{}", "$x", "=?utf-8?q?a?=",
		"01890a5d-ac96-774b-bcce-b302099a8057", strings.Repeat("i", transport.MaxIDBytes)}
	for i := range s.Count(300, 100_000) {
		ids = append(ids, "n"+strconv.Itoa(i))
	}
	log, want := newAccount(), make(map[string]*transport.Envelope)
	var batch []*transport.Envelope
	for i, id := range ids {
		e := message(c, "source", "k", i)
		e.ID, e.Correlation, e.Causation, e.Attempt, e.Lifetime = id, "c-"+id, "b-"+id, 1+i%3, time.Hour
		want[id] = e
		batch = append(batch, e)
	}
	var mu sync.Mutex
	returned := make(map[string]bool)
	s.receive(ctx, b, transport.Route{Channel: c}, func(d *transport.Delivery) {
		e := want[d.Envelope.ID]
		if e == nil {
			log.take("")(d) // noted as invented
			return
		}
		for _, what := range Differences(e, d.Envelope) {
			s.Errorf("message %s: %s", e.ID, what)
		}
		d.Envelope.ID, d.Envelope.Body, d.Envelope.Attempt = "spoiled", nil, 99 // it is the receiver's own
		mu.Lock()
		again := returned[e.ID]
		returned[e.ID] = true
		mu.Unlock()
		if !again {
			d.Settle(transport.Return)
			return
		}
		log.took("", e)
		d.Settle(transport.Done)
	})
	for len(batch) > 0 {
		n := min(100, len(batch))
		log.mustSend(ctx, s, b, batch[:n]...)
		batch = batch[n:]
	}
	log.settled(ctx, "")
	log.verify(s, "", faults{Unordered: true})
}
