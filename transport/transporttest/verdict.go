package transporttest

import (
	"fmt"
	"slices"
	"time"
)

// verify judges a history that is over. A fault may repeat messages and let a handler run beside its process's heir;
// nothing else may, and nothing may be lost, overtaken or begun by who had lost the partition.
func (h *history) verify(s *Scene) {
	starts := h.sorted()
	h.mu.Lock()
	defer h.mu.Unlock()
	report := func(what, want string, which []string) {
		if len(which) > 0 {
			s.Errorf("got %d %s (%s); want %s", len(which), what, clip(which), want)
		}
	}
	report("messages that were confirmed and never handled", "none lost", told(h.log.lost(""), starts))
	byKey := make(map[string][]*start)
	for _, x := range starts {
		byKey[x.key] = append(byKey[x.key], x)
	}
	var late, rewound, repeated, beside []string
	for _, of := range byKey {
		late = append(late, overtaken(of)...)
		rewound = append(rewound, h.rewound(of)...)
		repeated = append(repeated, h.repeated(of)...)
		beside = append(beside, h.beside(of)...)
	}
	report("messages whose first handler started after a later one of their key", "the order in which they were sent", late)
	report("handlers that one process started in the wrong order of their key", "the order in which they were sent, but for repeats after a fault", rewound)
	report("handlers of messages that another one had begun", "no repeats but after a fault of its process", repeated)
	report("handlers started while another process handled the same key", "one at a time, unless that process was killed or frozen", beside)
	report("handlers started by a thawed process after others had taken over", "none", h.zombies(starts))
	report("new owners of a partition without a larger fence", "one that grows with each owner", fences(starts))
}

// told are lost messages with what was heard of them.
func told(lost []string, starts []*start) (which []string) {
	for _, id := range lost {
		what := "never begun"
		for _, x := range starts {
			if x.id == id {
				what = "last begun by " + x.member.name
			}
		}
		which = append(which, id+", "+what)
	}
	return which
}

// overtaken are the starts of messages after later ones of the key, each message counted at its first start.
func overtaken(of []*start) (which []string) {
	seen := make(map[string]bool)
	var newest *start
	for _, x := range of {
		switch {
		case seen[x.id]:
		case newest != nil && newest.seq > x.seq:
			which = append(which, fmt.Sprintf("%v after %v", x, newest))
		default:
			newest = x
		}
		seen[x.id] = true
	}
	return which
}

// rewound are the starts of a process that come before what it had started already, and no fault of it lies between.
func (h *history) rewound(of []*start) (which []string) {
	newest := make(map[*member]*start)
	for _, x := range of {
		if before := newest[x.member]; before != nil && before.seq >= x.seq && !h.hit(before, x.at) {
			which = append(which, fmt.Sprintf("%v after %v", x, before))
		}
		newest[x.member] = x
	}
	return which
}

// repeated are the starts of messages that another process had begun, and no fault of that one lies between.
func (h *history) repeated(of []*start) (which []string) {
	earlier := make(map[string][]*start)
	for _, x := range of {
		for _, before := range earlier[x.id] {
			if before.member != x.member && !h.hit(before, x.at) {
				which = append(which, fmt.Sprintf("%v after %s", x, before.member.name))
				break
			}
		}
		earlier[x.id] = append(earlier[x.id], x)
	}
	return which
}

// beside are the starts at a time at which another process handled the key, without having been hit by a fault.
func (h *history) beside(of []*start) (which []string) {
	var open []*start
	for _, x := range of {
		open = slices.DeleteFunc(open, func(o *start) bool { return !o.ended.IsZero() && !o.ended.After(x.at) })
		for _, o := range open {
			if o.member != x.member && !h.hit(o, x.at) {
				which = append(which, fmt.Sprintf("%v beside %v", x, o))
			}
		}
		open = append(open, x)
	}
	return which
}

// zombies are the starts of a thawed process for deliveries from before it was frozen, in partitions that others had
// worked on meanwhile.
func (h *history) zombies(starts []*start) (which []string) {
	for _, m := range h.members {
		if m.thawed.IsZero() {
			continue
		}
		heir := make(map[int]time.Time) // when others first started something of a partition
		for _, x := range starts {
			switch since, ok := heir[x.partition]; {
			case x.member != m && !ok && !x.at.Before(m.frozen):
				heir[x.partition] = x.at
			case x.member == m && ok && x.taken.Before(m.thawed) && !x.at.Before(m.thawed):
				which = append(which, fmt.Sprintf("%v, %v after another", x, x.at.Sub(since).Round(time.Millisecond)))
			}
		}
	}
	return which
}

// fences are the first starts of new owners whose fence is not larger than the one before. 0 is no fence.
func fences(starts []*start) (which []string) {
	last := make(map[int]*start)
	for _, x := range starts {
		before := last[x.partition]
		if before != nil && before.member != x.member && before.fence > 0 && x.fence <= before.fence {
			which = append(which, fmt.Sprintf("%v with %d after %v with %d", x, x.fence, before, before.fence))
		}
		last[x.partition] = x
	}
	return which
}
