package transporttest

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/parley-io/parley/transport"
)

const (
	orderKeys       = 100
	orderPartitions = 8
	burstEvery      = 500 * time.Millisecond // one message of each key: handlers queue behind each other, and rest in between
)

func orderAmongProcesses(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	h := newHistory(s.channel(ctx, b, transport.Queue, orderPartitions))
	killed, frozen, leaving := h.join(ctx, s, site, "killed"), h.join(ctx, s, site, "frozen"), h.join(ctx, s, site, "leaving")
	stop := h.bursts(ctx, s, b)
	defer h.verify(s)
	defer func() { s.Notef("%s; %s", h.log.summary(), h.summary()) }()
	defer stop()
	for _, m := range []*member{killed, frozen, leaving} {
		h.working(ctx, s, m)
	}
	h.balanced(ctx, s, killed, frozen, leaving)

	h.kill(ctx, s, killed)
	joining := h.join(ctx, s, site, "joining")
	h.working(ctx, s, joining)
	h.freeze(ctx, s, frozen)
	h.leave(ctx, s, leaving)

	stop()
	h.log.settled(ctx, "")
	h.log.empty(ctx, s, b, h.channel, "")
	h.end(ctx, s, joining)
	if !frozen.exiled {
		h.end(ctx, s, frozen)
	}
}

// bursts sends a message of each key, again and again until stop.
func (h *history) bursts(ctx context.Context, s *Scene, b transport.Broker) (stop func()) {
	sending, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	s.Go(func() {
		defer close(ended)
		tick := time.NewTicker(burstEvery)
		defer tick.Stop()
		for n := 0; ; n++ {
			batch := make([]*transport.Envelope, orderKeys)
			for i := range batch {
				key := "k" + strconv.Itoa(i)
				batch[i] = message(h.channel, key, key, n)
			}
			h.log.send(ctx, s, b, batch...)
			select {
			case <-tick.C:
			case <-sending.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		<-ended
	}
}

// balanced waits for a while until each of the members has about as many partitions as another, so that faults hit
// some. How quickly, and whether at all, is a broker's own affair.
func (h *history) balanced(ctx context.Context, s *Scene, members ...*member) {
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	fair := h.await(ctx, func() bool {
		shares := make(map[*member]int)
		for _, x := range h.newest() {
			shares[x.member]++
		}
		return !slices.ContainsFunc(members, func(m *member) bool { return shares[m] < h.channel.Partitions/len(members) })
	})
	if !fair {
		s.Notef("partitions not shared evenly within %v", patience)
		return
	}
	s.Notef("partitions shared evenly after %v", time.Since(began).Round(10*time.Millisecond))
}

func (h *history) kill(ctx context.Context, s *Scene, m *member) {
	h.working(ctx, s, m) // so that the kill comes in the middle of a burst
	parts, since := h.owned(m), time.Now()
	h.mu.Lock()
	m.killed = since
	h.mu.Unlock()
	m.process.kill()
	s.Notef("%d partitions of a killed process taken over within %v", len(parts), h.takenOver(ctx, s, m, parts, since).Round(10*time.Millisecond))
}

// freeze freezes m until others have taken over, and for 20 s with the full counts.
func (h *history) freeze(ctx context.Context, s *Scene, m *member) {
	h.working(ctx, s, m)
	parts, since := h.owned(m), time.Now()
	h.mu.Lock()
	m.frozen = since
	h.mu.Unlock()
	if err := m.process.freeze(); err != nil {
		s.Fatalf("freezing process %s: %v", m.name, err)
	}
	took := h.takenOver(ctx, s, m, parts, since)
	rest := time.Second
	if s.full {
		rest = max(rest, 20*time.Second-time.Since(since))
	}
	time.Sleep(rest)
	thawed := time.Now()
	h.mu.Lock()
	m.thawed = thawed
	h.mu.Unlock()
	if err := m.process.thaw(); err != nil {
		s.Fatalf("thawing process %s: %v", m.name, err)
	}
	s.Notef("%d partitions of a process frozen for %v taken over within %v", len(parts), thawed.Sub(since).Round(10*time.Millisecond), took.Round(10*time.Millisecond))
	if m.exiled {
		time.Sleep(time.Second) // for what a zombie might do
		return
	}
	again := h.await(ctx, func() bool {
		return slices.ContainsFunc(h.starts, func(x *start) bool { return x.member == m && !x.taken.Before(thawed) })
	})
	if !again {
		s.Fatalf("process %s handled nothing new after it was thawed; want it to take part again", m.name)
	}
	s.Notef("it took part again within %v", time.Since(thawed).Round(10*time.Millisecond))
}

func (h *history) leave(ctx context.Context, s *Scene, m *member) {
	h.working(ctx, s, m)
	parts, since := h.owned(m), time.Now()
	h.end(ctx, s, m)
	s.Notef("%d partitions of a process that left taken over within %v", len(parts), h.takenOver(ctx, s, m, parts, since).Round(10*time.Millisecond))
}

// end ends m in order: it finishes what it has begun, and nothing of that is repeated.
func (h *history) end(ctx context.Context, s *Scene, m *member) {
	m.process.leave()
	select {
	case <-m.ended:
	case <-ctx.Done():
		s.Fatalf("process %s still runs after it was told to end; want it to return what it had and to leave", m.name)
	}
	if m.err != nil {
		s.Errorf("process %s ended with %v; want an orderly end", m.name, m.err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.starts {
		if x.member == m && x.ended.IsZero() && !h.hit(x, time.Now()) {
			s.Errorf("process %s left without the end of %s; want what it had begun to end first", m.name, x.id)
		}
	}
}
