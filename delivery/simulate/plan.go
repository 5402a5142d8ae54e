package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// The phases of a world, from its beginning.
const (
	settled = time.Second      // every group is registered
	calm    = 60 * time.Second // no more faults, everything runs
	patient = 4 * time.Hour    // of calm before the oracle looks: every schedule of retries is over
)

// New is the schedule of a seed. Every eighth has no faults: there, every figure must be exact.
func New(seed uint64) Schedule {
	p := &planner{Rand: rand.New(rand.NewPCG(seed, 1))}
	p.Seed = seed
	p.world()
	for i := range 8 + p.IntN(20) {
		p.message(i)
	}
	if seed%8 != 0 {
		for range 1 + p.IntN(7) {
			p.fault()
		}
	}
	for range p.IntN(4) {
		p.person()
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	for i := range p.Steps {
		p.Steps[i].Number = i
	}
	return p.Schedule
}

// planner is a schedule in the making.
type planner struct {
	*rand.Rand
	Schedule
}

// places are all the kinds of a channel.
var places = []Place{
	{transport.Channel{Address: "pay", Pattern: transport.Queue}, []string{""}},
	{transport.Channel{Address: "book", Pattern: transport.Queue, Partitions: 3}, []string{""}},
	{transport.Channel{Address: "placed", Pattern: transport.Topic}, []string{"mail", "fraud"}},
	{transport.Channel{Address: "moved", Pattern: transport.Topic, Partitions: 2}, []string{"mail", "stock"}},
	{transport.Channel{Address: "log", Pattern: transport.Stream, Partitions: 2}, []string{"audit", "search"}},
	{transport.Channel{Address: "heard", Pattern: transport.Stream}, []string{"audit"}},
}

func (p *planner) world() {
	w := &p.World
	for _, i := range p.Perm(len(places))[:1+p.IntN(3)] {
		w.Places = append(w.Places, places[i])
	}
	w.Slots = 1 + p.IntN(3)
	w.Dedupe = []time.Duration{2 * time.Minute, 2 * time.Minute, 0}[p.IntN(3)]
	w.Delays = p.IntN(4) > 0
	w.Ledger = p.IntN(4) == 0
	w.StopKey = p.IntN(3) == 0
	w.Concurrency = 1 + p.IntN(4)
	switch p.IntN(4) {
	case 0: // the defaults
	case 1:
		w.Retries = delivery.Retries{Set: true, Immediate: p.IntN(3)}
	default:
		w.Retries = delivery.Retries{Set: true, Immediate: p.IntN(3), Delays: []time.Duration{time.Second, 4 * time.Second}[:1+p.IntN(2)]}
	}
	w.Timeout = 2 * time.Second
	w.Drain = []time.Duration{0, time.Second, 20 * time.Second}[p.IntN(3)]
}

// message sends message i at some moment.
func (p *planner) message(i int) {
	place := p.World.Places[p.IntN(len(p.World.Places))]
	e := &transport.Envelope{
		ID: fmt.Sprintf("m%02d", i), Address: place.Channel.Address, Source: "sender", Correlation: "story",
		Headers: map[string]string{"tenant": "zürich"}, Body: fmt.Appendf(nil, `{"number":%d}`, i),
	}
	text := fmt.Sprintf("send %s to %s", e.ID, e.Address)
	if place.Channel.Partitions > 0 && p.IntN(10) > 0 {
		e.Key = fmt.Sprint("k", p.IntN(4))
		text += ", key " + e.Key
	}
	var notBefore time.Duration
	switch p.IntN(12) {
	case 0:
		e.Lifetime = p.between(500*time.Millisecond, 10*time.Second)
		text += fmt.Sprintf(", lifetime %v", e.Lifetime)
	case 1:
		e.Headers[transport.Malformed] = "bad bytes"
		text += ", malformed"
	case 2, 3:
		if p.World.Delays {
			notBefore = p.between(100*time.Millisecond, 20*time.Second)
			text += fmt.Sprintf(", not before %v later", notBefore)
		}
	}
	p.step(p.between(settled, 40*time.Second), text, func(w *world) {
		e.Time = time.Now()
		if notBefore > 0 {
			e.NotBefore = e.Time.Add(notBefore)
		}
		w.send(e)
	})
}

// fault breaks something for a while.
func (p *planner) fault() {
	at, long := p.between(settled, 45*time.Second), p.between(100*time.Millisecond, 12*time.Second)
	slot := p.IntN(p.World.Slots)
	switch p.IntN(11) {
	case 0:
		p.step(at, fmt.Sprintf("kill process %d, start it after %v", slot, long), func(w *world) { w.slots[slot].kill(long) })
	case 1, 2:
		point := []mem.Point{mem.BeforeStore, mem.BeforeConfirm, mem.BeforeTake, mem.BeforeSettle, mem.AfterSettle}[p.IntN(5)]
		n := 1 + p.IntN(3)
		p.step(at, fmt.Sprintf("process %d dies %s, time %d; start it after %v", slot, point, n, long),
			func(w *world) { w.slots[slot].crash(point, n, long) })
	case 3:
		point := []mem.Point{mem.BeforeStore, mem.BeforeConfirm}[p.IntN(2)]
		n := 1 + p.IntN(3)
		p.step(at, fmt.Sprintf("a sender dies %s, time %d", point, n), func(w *world) { w.crashSender(point, n) })
	case 4:
		p.step(at, fmt.Sprintf("expel process %d", slot), func(w *world) { w.slots[slot].expel() })
	case 5:
		p.step(at, fmt.Sprintf("freeze process %d for %v", slot, long), func(w *world) { w.slots[slot].freeze(long) })
	case 7:
		p.step(at, fmt.Sprintf("process %d doubts for %v what it has", slot, long), func(w *world) { w.slots[slot].doubt(long) })
	case 8:
		place := p.World.Places[p.IntN(len(p.World.Places))]
		receiver := receiverOf(place.Channel, place.Groups[p.IntN(len(place.Groups))])
		p.step(at, fmt.Sprintf("what %s depends on is down for %v", receiver, 2*long), func(w *world) { w.outage(receiver, 2*long) })
	case 6:
		p.step(at, fmt.Sprintf("the broker is away for %v", long), func(w *world) { w.away(long) })
	default:
		who := []string{"", " at sender", fmt.Sprint(" at p", slot)}[p.IntN(3)]
		what := []string{
			"lose 60% send", "fail 50% send", "double 70% send", "reorder 70% send", "delay 300ms 50% send", "cut send", "cut receive", "cut broker",
		}[p.IntN(8)]
		rule := fmt.Sprintf("%s%s for %v seed %d", what, who, long, p.IntN(1000))
		p.step(at, "rule: "+rule, func(w *world) { w.rule(rule) })
	}
	p.Steps[len(p.Steps)-1].Fault = true
}

// person does what people do with services that are well.
func (p *planner) person() {
	at, long := p.between(settled, 45*time.Second), p.between(100*time.Millisecond, 12*time.Second)
	slot := p.IntN(p.World.Slots)
	switch p.IntN(5) {
	case 0:
		p.step(at, fmt.Sprintf("stop process %d, start it %v after it ended", slot, long), func(w *world) { w.slots[slot].stop(long) })
	case 1:
		p.step(at, fmt.Sprintf("pause process %d for %v", slot, long), func(w *world) { w.slots[slot].pause(long) })
	case 2:
		n := 1 + p.IntN(6)
		p.step(at, fmt.Sprintf("process %d gets %d handlers each", slot, n), func(w *world) { w.slots[slot].concurrency(n) })
	case 3:
		p.step(p.between(20*time.Second, 55*time.Second), "redrive all dead letters", func(w *world) { w.redrive() })
	default:
		p.step(calm+patient/4, "redrive all dead letters", func(w *world) { w.redrive() })
	}
}

func (p *planner) step(at time.Duration, text string, do func(*world)) {
	p.Steps = append(p.Steps, Step{At: at, Text: text, do: do})
}

// between is a round duration.
func (p *planner) between(from, to time.Duration) time.Duration {
	const round = 10 * time.Millisecond
	return from + time.Duration(p.Int64N(int64((to-from)/round)))*round
}
