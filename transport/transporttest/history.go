package transporttest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// history is what competing processes did with one partitioned channel, and what was done to them. Safe for concurrent
// use.
type history struct {
	channel transport.Channel
	log     *account

	mu      sync.Mutex
	changed chan struct{}
	starts  []*start // as they were heard; verify sorts them by their time
	losses  []loss
	members []*member
}

// member is one of the processes.
type member struct {
	*process
	name string

	// Guarded by the history's mu.
	begun                  int       // handlers that it started
	killed, frozen, thawed time.Time // zero = never; each happens once at the most
}

// start is one start of a handler.
type start struct {
	member    *member
	id, key   string
	seq       int // of its key
	partition int
	fence     uint64
	taken, at time.Time // when the delivery came, and when the handler's start was decided
	ended     time.Time // zero = not heard of
}

func (x *start) String() string { return x.id + " at " + x.member.name }

// loss is a partition that was revoked while its member still had deliveries of it.
type loss struct {
	member    *member
	partition int
	at        time.Time
}

func newHistory(c transport.Channel) *history {
	return &history{channel: c, log: newAccount(), changed: make(chan struct{})}
}

// join starts a process. It is not ready yet.
func (h *history) join(ctx context.Context, s *Scene, site Site, name string) *member {
	m := &member{name: name}
	h.mu.Lock()
	h.members = append(h.members, m)
	h.mu.Unlock()
	m.process = site.process(ctx, s, func(words []string) { h.hear(s, m, words) },
		"order", h.channel.Address, strconv.Itoa(h.channel.Partitions))
	return m
}

// hear notes what a member says; see lanes. "ready" is no news, and a line that was cut by a kill says nothing.
func (h *history) hear(s *Scene, m *member, words []string) {
	if len(words) < 3 {
		return
	}
	numbers := make([]int64, 0, 3) // AT TAKEN FENCE
	for _, w := range words[2:] {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			s.Errorf("process %s said %q; want numbers after the id", m.name, words)
			return
		}
		numbers = append(numbers, n)
	}
	id, at := words[1], time.Unix(0, numbers[0])
	key, n := cut(id)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case words[0] == "begin" && len(numbers) == 3:
		m.begun++
		h.starts = append(h.starts, &start{
			member: m, id: id, key: key, seq: n, partition: h.channel.Partition(key),
			at: at, taken: time.Unix(0, numbers[1]), fence: uint64(numbers[2]),
		})
	case words[0] == "end":
		for _, x := range slices.Backward(h.starts) {
			if x.member == m && x.id == id {
				x.ended = at
				break
			}
		}
		h.log.took("", &transport.Envelope{ID: id})
	case words[0] == "lost":
		h.losses = append(h.losses, loss{m, h.channel.Partition(key), at})
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// cut takes an ID that message made apart. Of another one, n is 0.
func cut(id string) (source string, n int) {
	i := max(strings.LastIndexByte(id, '-'), 0)
	n, _ = strconv.Atoi(strings.TrimPrefix(id[i:], "-"))
	return id[:i], n
}

// await waits for holds, which is asked with mu held, and reports whether it came true in time.
func (h *history) await(ctx context.Context, holds func() bool) bool {
	for {
		h.mu.Lock()
		ok, changed := holds(), h.changed
		h.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// working waits until a member has started a handler more.
func (h *history) working(ctx context.Context, s *Scene, m *member) {
	h.mu.Lock()
	before := m.begun
	h.mu.Unlock()
	if !h.await(ctx, func() bool { return m.begun > before }) {
		s.Fatalf("process %s started no handler in time; want it to get its share of %d partitions", m.name, h.channel.Partitions)
	}
}

// owned are the partitions whose newest handler was started by m.
func (h *history) owned(m *member) (partitions []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, x := range h.newest() {
		if x.member == m {
			partitions = append(partitions, p)
		}
	}
	return partitions
}

// newest are the latest starts, by partition. mu is held.
func (h *history) newest() map[int]*start {
	last := make(map[int]*start)
	for _, x := range h.starts {
		if before := last[x.partition]; before == nil || !x.at.Before(before.at) {
			last[x.partition] = x
		}
	}
	return last
}

// takenOver waits until others have started handlers of all these partitions of m since then, and says how long the last
// one took.
func (h *history) takenOver(ctx context.Context, s *Scene, m *member, partitions []int, since time.Time) time.Duration {
	first := make(map[int]time.Time)
	seen := 0
	all := h.await(ctx, func() bool {
		for ; seen < len(h.starts); seen++ {
			x := h.starts[seen]
			if before, ok := first[x.partition]; x.member != m && !x.at.Before(since) && (!ok || x.at.Before(before)) {
				first[x.partition] = x.at
			}
		}
		return !slices.ContainsFunc(partitions, func(p int) bool { return first[p].IsZero() })
	})
	if !all {
		s.Fatalf("partitions %v of process %s: got handlers of %v elsewhere; want all taken over in time", partitions, m.name, first)
	}
	longest := time.Duration(0)
	for _, p := range partitions {
		longest = max(longest, first[p].Sub(since))
	}
	return longest
}

// sorted are all starts by their time.
func (h *history) sorted() []*start {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.Clone(h.starts)
	slices.SortStableFunc(all, func(a, b *start) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	return all
}

// hit reports whether a fault came between x and t: its process was killed or frozen, or lost the partition.
func (h *history) hit(x *start, t time.Time) bool {
	m := x.member
	if !m.killed.IsZero() && !t.Before(m.killed) || !m.frozen.IsZero() && !t.Before(m.frozen) && (m.thawed.IsZero() || x.at.Before(m.thawed)) {
		return true
	}
	return slices.ContainsFunc(h.losses, func(l loss) bool {
		return l.member == m && l.partition == x.partition && !l.at.Before(x.at) && !l.at.After(t)
	})
}

// summary is the history in numbers.
func (h *history) summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var shares []string
	for _, m := range h.members {
		shares = append(shares, fmt.Sprintf("%s %d", m.name, m.begun))
	}
	seen := make(map[string]bool)
	for _, x := range h.starts {
		seen[x.id] = true
	}
	return fmt.Sprintf("%d handlers started, %d of them again (%s), %d deliveries revoked in hand",
		len(h.starts), len(h.starts)-len(seen), strings.Join(shares, ", "), len(h.losses))
}
