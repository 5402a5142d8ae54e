package transporttest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// apart is how far a position by time is from the messages around it: some brokers find them by the second.
const apart = 1500 * time.Millisecond

// past is a stream with two series of messages, and a moment after each.
type past struct {
	channel        transport.Channel
	early, late    []*transport.Envelope
	between, after time.Time

	mu     sync.Mutex
	places map[string]string // by ID, from deliveries
}

// record fills a new stream, and reads it once to learn the positions.
func (s *Scene) record(ctx context.Context, b transport.Broker, partitions int) *past {
	if !b.Features().Streams {
		s.Fatalf("Features.Streams = false: this broker has no positions; want a declaration that says so")
	}
	p := &past{channel: s.channel(ctx, b, transport.Stream, partitions), places: make(map[string]string)}
	moment := func() time.Time {
		time.Sleep(apart)
		defer time.Sleep(apart)
		return time.Now()
	}
	p.early = s.write(ctx, b, p.channel, "early")
	p.between = moment()
	p.late = s.write(ctx, b, p.channel, "late")
	p.after = moment()
	reader := s.read(ctx, b, transport.Route{Channel: p.channel, From: transport.Position{Start: true}}, func(d *transport.Delivery) {
		if d.Position == "" {
			s.Errorf("message %s of a stream: got no Position; want one, as Features.Streams is true", d.Envelope.ID)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.places[d.Envelope.ID] = d.Position
	})
	reader.await(ctx, s)
	reader.got(ctx, s, "a reader from the start", p.all(), nil)
	reader.stop(ctx, s)
	return p
}

func (p *past) all() []*transport.Envelope { return slices.Concat(p.early, p.late) }

// write sends a series of messages to a stream.
func (s *Scene) write(ctx context.Context, b transport.Broker, c transport.Channel, source string) []*transport.Envelope {
	sent := messages(c, source, 5, 12)
	newAccount().mustSend(ctx, s, b, sent...)
	return sent
}

// reading is a Receive that notes what comes.
type reading struct {
	*receiver
	log *account
}

// read begins one. see, if not nil, gets each delivery too.
func (s *Scene) read(ctx context.Context, b transport.Broker, r transport.Route, see func(*transport.Delivery)) *reading {
	log := newAccount()
	return &reading{log: log, receiver: s.begin(ctx, b, r, func(d *transport.Delivery) {
		if see != nil {
			see(d)
		}
		log.take("")(d)
	})}
}

// got waits until all of want have come, and allows nothing else but what is in may, and nothing twice.
func (x *reading) got(ctx context.Context, s *Scene, who string, want, may []*transport.Envelope) {
	x.log.until(ctx, func() bool {
		return !slices.ContainsFunc(want, func(e *transport.Envelope) bool { return !x.log.handledBy("", e.ID) })
	})
	x.verify(s, who, want, may)
}

func (x *reading) verify(s *Scene, who string, want, may []*transport.Envelope) {
	x.log.mu.Lock()
	defer x.log.mu.Unlock()
	left := make(map[string]bool) // true = must come
	for _, e := range may {
		left[e.ID] = false
	}
	for _, e := range want {
		left[e.ID] = true
	}
	var surplus, missing []string
	for _, id := range x.log.handled[""] {
		if _, ok := left[id.id]; !ok {
			surplus = append(surplus, id.String())
		}
		delete(left, id.id)
	}
	for _, e := range want {
		if left[e.ID] {
			missing = append(missing, e.ID)
		}
	}
	if len(surplus)+len(missing) > 0 {
		s.Errorf("%s: got %d messages, %d of them unexpected or for the second time (%s), and %d have not come (%s); want %d, each once",
			who, len(x.log.handled[""]), len(surplus), clip(surplus), len(missing), clip(missing), len(want))
	}
}

// beginning is where a new group may begin.
type beginning struct {
	name      string
	from      transport.Position
	want, may []*transport.Envelope // of what the stream holds
}

// beginnings are those of p. A position is a place in one partition: who begins there gets all that was stored after it,
// and of the other partitions perhaps something older.
func (p *past) beginnings(receipt string) []beginning {
	const at = 4
	first, after := p.late[at], p.late[at:]
	older := slices.Concat(p.early, p.late[:at])
	if p.channel.Partitions > 0 {
		own := p.channel.Partition(first.Key)
		older = slices.DeleteFunc(older, func(e *transport.Envelope) bool { return p.channel.Partition(e.Key) == own })
	}
	all := []beginning{
		{"the start", transport.Position{Start: true}, p.all(), nil},
		{"now", transport.Position{}, nil, nil},
		{"a time", transport.Position{Time: p.between}, p.late, nil},
		{"a delivery's position", transport.Position{At: p.places[first.ID]}, after, older},
	}
	if receipt != "" {
		all = append(all, beginning{"a receipt's position", transport.Position{At: receipt}, nil, p.all()})
	}
	return all
}

func newGroups(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	var all sync.WaitGroup
	for _, partitions := range []int{1, 3, 0} {
		all.Go(func() { s.newGroups(ctx, b, s.record(ctx, b, partitions)) })
	}
	all.Wait()
}

func (s *Scene) newGroups(ctx context.Context, b transport.Broker, p *past) {
	mark := message(p.channel, "mark", "k0", 0) // of which the receipt is known
	receipt := newAccount().mustSend(ctx, s, b, mark)[0].Position
	p.late = append(p.late, mark)
	begins := p.beginnings(receipt)
	readings := make(map[string]*reading)
	for i, x := range begins {
		for _, group := range []string{"", fmt.Sprintf("g%d", i)} {
			readings[x.name+group] = s.read(ctx, b, transport.Route{Channel: p.channel, Group: group, From: x.from}, nil)
		}
	}
	for _, r := range readings {
		r.await(ctx, s)
	}
	fresh := s.write(ctx, b, p.channel, "fresh")
	for i, x := range begins {
		want := slices.Concat(x.want, fresh)
		if x.name == "a receipt's position" {
			want = append(want, mark)
		}
		for _, group := range []string{"", fmt.Sprintf("g%d", i)} {
			who := fmt.Sprintf("group %q of %d partitions from %s", group, p.channel.Partitions, x.name)
			readings[x.name+group].got(ctx, s, who, want, x.may)
			readings[x.name+group].stop(ctx, s)
		}
	}
	last := s.write(ctx, b, p.channel, "last")
	again := s.read(ctx, b, transport.Route{Channel: p.channel, Group: "g0", From: transport.Position{Start: true}}, nil)
	again.await(ctx, s)
	again.got(ctx, s, "a group that exists, told to begin at the start,", last, nil)
	again.stop(ctx, s)
}

func replayLeavesGroupsAlone(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	var all sync.WaitGroup
	for _, partitions := range []int{1, 3} {
		all.Go(func() { s.replay(ctx, b, s.record(ctx, b, partitions)) })
	}
	all.Wait()
}

func (s *Scene) replay(ctx context.Context, b transport.Broker, p *past) {
	start := transport.Position{Start: true}
	working := s.read(ctx, b, transport.Route{Channel: p.channel, Group: "working", From: start}, nil)
	away := s.read(ctx, b, transport.Route{Channel: p.channel, Group: "away", From: start, Credit: transport.NewCredit(0)}, nil)
	working.await(ctx, s)
	away.await(ctx, s)
	away.stop(ctx, s)
	working.got(ctx, s, "the group that works", p.all(), nil)

	type extent struct {
		what        string
		from, until transport.Position
		want        []*transport.Envelope
	}
	extents := []extent{
		{"from the start to a time", start, transport.Position{Time: p.between}, p.early},
		{"from a time to another", transport.Position{Time: p.between}, transport.Position{Time: p.after}, p.late},
		{"from now to a time that has passed", transport.Position{}, transport.Position{Time: p.between}, nil},
	}
	if p.channel.Partitions == 1 {
		at := func(i int) transport.Position { return transport.Position{At: p.places[p.all()[i].ID]} }
		extents = append(extents,
			extent{"between two positions", at(3), at(20), p.all()[3:20]},
			extent{"from the start to a position", start, at(5), p.all()[:5]})
	}
	for _, x := range extents {
		r := s.read(ctx, b, transport.Route{Channel: p.channel, From: x.from, Until: x.until}, nil)
		r.wait(ctx, s)
		r.verify(s, fmt.Sprintf("a replay of %d partitions %s", p.channel.Partitions, x.what), x.want, nil)
	}

	due := time.Now().Add(5 * time.Second) // by then the reader is ready and all is sent
	r := s.read(ctx, b, transport.Route{Channel: p.channel, From: start, Until: transport.Position{Time: due}}, nil)
	r.await(ctx, s)
	fresh := s.write(ctx, b, p.channel, "fresh")
	r.wait(ctx, s)
	if early := time.Until(due); early > 0 {
		s.Errorf("a replay until a time to come ended %v before it; want it to wait for that time", early)
	}
	r.verify(s, "a replay until a time to come", slices.Concat(p.all(), fresh), nil)

	working.got(ctx, s, "the group that works, beside replays,", slices.Concat(p.all(), fresh), nil)
	working.stop(ctx, s)
	back := s.read(ctx, b, transport.Route{Channel: p.channel, Group: "away"}, nil)
	back.await(ctx, s)
	back.got(ctx, s, "the group that was away during replays", slices.Concat(p.all(), fresh), nil)
	back.stop(ctx, s)

	empty := s.channel(ctx, b, transport.Stream, p.channel.Partitions)
	nothing := s.read(ctx, b, transport.Route{Channel: empty, From: start, Until: transport.Position{Time: time.Now()}}, nil)
	nothing.wait(ctx, s)
	nothing.verify(s, "a replay of a stream without messages", nil, nil)
}
