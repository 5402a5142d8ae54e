package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

// Schedule is a world and what happens in it. [New] makes it of a seed.
type Schedule struct {
	Seed  uint64
	World World
	Steps []Step // by time

	under func(transport.Broker) transport.Broker // a defect between the processes and the broker; nil = none
}

// World is what a schedule happens to.
type World struct {
	Places      []Place
	Slots       int           // places for a process, one after another
	Dedupe      time.Duration // of the broker; 0 = it stores each repetition
	Delays      bool          // the broker carries delays; else whoever has the message does
	Ledger      bool          // processes write a ledger over the broker, as services do; else it is confirmed from nowhere
	StopKey     bool          // a dead letter of a partitioned channel stops its key
	Concurrency int
	Retries     delivery.Retries // the zero value = the defaults of each channel
	Timeout     time.Duration    // of a handler
	Drain       time.Duration
}

// Place is a channel and the groups that every process receives it for; a Queue has the one group "".
type Place struct {
	Channel transport.Channel
	Groups  []string
}

// Step is something that happens at a moment.
type Step struct {
	Number int           // its place in the schedule of the seed
	At     time.Duration // since the beginning
	Text   string        // what happens
	Fault  bool          // it may be the reason of a second delivery
	do     func(*world)
}

// Only is s with nothing but the steps of these numbers.
func (s Schedule) Only(numbers []int) Schedule {
	s.Steps = slices.DeleteFunc(slices.Clone(s.Steps), func(x Step) bool { return !slices.Contains(numbers, x.Number) })
	return s
}

// Numbers are those of the steps, in their order.
func (s Schedule) Numbers() []int {
	numbers := make([]int, len(s.Steps))
	for i, x := range s.Steps {
		numbers[i] = x.Number
	}
	return numbers
}

// String is s for people, a line for each step.
func (s Schedule) String() string {
	var b strings.Builder
	w := &s.World
	fmt.Fprintf(&b, "seed %d: %d processes, %d handlers each, dedupe %v, delays by the broker %t, ledger %t, dead letters stop keys %t, retries %v, handler timeout %v, drain %v\n",
		s.Seed, w.Slots, w.Concurrency, w.Dedupe, w.Delays, w.Ledger, w.StopKey, w.Retries, w.Timeout, w.Drain)
	for _, p := range w.Places {
		fmt.Fprintf(&b, "  %v %s, %d partitions, groups %q\n", p.Channel.Pattern, p.Channel.Address, p.Channel.Partitions, p.Groups)
	}
	for _, x := range s.Steps {
		fmt.Fprintf(&b, "  %3d  %9v  %s\n", x.Number, x.At, x.Text)
	}
	return b.String()
}
