package simulate

import (
	"maps"
	"slices"
)

// order wants each message of a key to be concluded before the next one begins, and one handler of a key at a time.
func (o *oracle) order() {
	lanes := make(map[string][]*run)
	for _, r := range o.runs {
		if key := r.envelope.Key; key != "" && o.partitioned(r.envelope.Address) {
			lanes[r.receiver+" key "+key] = append(lanes[r.receiver+" key "+key], r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(lanes)) {
		o.side(name, lanes[name])
		o.sequence(name, lanes[name])
	}
}

// side complains about handlers of one key that run side by side, but for those of a process that was out of reach.
func (o *oracle) side(lane string, runs []*run) {
	for i, b := range runs {
		for _, a := range runs[:i] {
			if (a.to.IsZero() || a.to.After(b.from)) && !o.vain(&run{who: a.who, from: a.from, to: b.from}) {
				o.brokenf("%s: %v began at %v while this ran: %v", lane, b, b.from, a)
			}
		}
	}
}

// sequence complains about a message that begins before one that was stored before it is concluded. Where dead letters stop
// their keys, one that is there is not: each run of what is behind it, also of a redriven copy, has to wait.
func (o *oracle) sequence(lane string, runs []*run) {
	begun := make(map[string]bool)
	for _, b := range runs {
		stops := o.world.World.StopKey
		if !stops && (begun[b.id] || generation(b.copy) > 0) {
			continue
		}
		begun[b.id] = true
		for _, m := range o.before(b) {
			t := o.concluded(m, b.receiver, 0)
			if stops {
				t = o.through(m, b.receiver)
			}
			if t.IsZero() || t.After(b.from) {
				o.brokenf("%s: %v began at %v, before %s, which was stored before it, was through (%v)", lane, b, b.from, m.ID, t)
			}
		}
	}
}

// before are the messages of a run's key that were stored before its message.
func (o *oracle) before(b *run) (all []*message) {
	place := o.positions[b.envelope.Address+" "+b.id]
	for _, m := range o.messages {
		p, stored := o.positions[m.Address+" "+m.ID]
		if stored && m.Address == b.envelope.Address && m.Key == b.envelope.Key && p < place {
			all = append(all, m)
		}
	}
	return all
}

func (o *oracle) partitioned(address string) bool {
	return slices.ContainsFunc(o.world.World.Places, func(p Place) bool { return p.Channel.Address == address && p.Channel.Partitions > 0 })
}
