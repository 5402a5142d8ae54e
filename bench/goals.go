package main

import "slices"

// respect is what is compared of two clients.
type respect struct {
	of     func(figures) float64
	atMost bool // less is better, so that a goal must not be exceeded; else it must be reached
}

var (
	rate      = respect{of: figures.perSecond}
	frugality = respect{of: figures.perCPU}
	half      = respect{figures.p50, true}
	slowest   = respect{figures.p99, true}
)

// entry is a client in a contest.
type entry struct {
	contest string
	kind    kind
}

// goals are ratios to be reached on each network; 0 = there is none, the ratio is only told.
type goals struct{ embedded, rabbitmq, kafka, nats float64 }

// comparison is how one entry does beside another. Its name, and that of its target, ends in the network's.
type comparison struct {
	name  string
	ours  entry
	other entry
	in    respect
	goals goals
}

// comparisons are all that is made of what [compare] finds. A goal is a ratio of two figures of the same round; a client is
// only compared where the network has it.
var comparisons = []comparison{
	// What the raw client does.
	{"publish-1", entry{publish1, ours}, entry{publish1, raw}, rate, goals{}},
	{"publish-64", entry{publish64, ours}, entry{publish64, raw}, rate, goals{0.9, 0.9, 0.9, 0.9}},
	{"consume", entry{consuming, ours}, entry{consuming, raw}, rate, goals{}},
	{"consume-removing", entry{consuming, ours}, entry{consuming, removing}, rate, goals{}},
	{"handled-64", entry{through64, ours}, entry{through64, raw}, rate, goals{0.9, 0.9, 0, 0.9}},
	{"handled-64-removing", entry{through64, ours}, entry{through64, removing}, rate, goals{}},
	{"p50-2000", entry{paced, ours}, entry{paced, raw}, half, goals{1.2, 1.2, 1.2, 1.2}},
	{"p99-2000", entry{paced, ours}, entry{paced, raw}, slowest, goals{2, 2, 2, 2}},

	// What Watermill does.
	{"publish-1-watermill", entry{publish1, ours}, entry{publish1, tuned}, rate, goals{}},
	{"publish-64-watermill", entry{publish64, ours}, entry{publish64, tuned}, rate, goals{1.2, 1.3, 1.2, 1.2}},
	{"publish-64-watermill-defaults", entry{publish64, ours}, entry{publish64, untuned}, rate, goals{rabbitmq: 9}},
	{"consume-watermill", entry{consuming, ours}, entry{consuming, tuned}, rate, goals{3.5, 1.5, 2.5, 3.5}},
	{"ordered-1ms", entry{inOrder, ours}, entry{inOrder, tuned}, rate, goals{40, 7, 15, 40}},
	{"handled-64-watermill", entry{through64, ours}, entry{through64, tuned}, rate, goals{rabbitmq: 2.5, kafka: 2.5}},
	{"p50-2000-watermill", entry{paced, ours}, entry{paced, tuned}, half, goals{}},
	{"p99-2000-watermill", entry{paced, ours}, entry{paced, tuned}, slowest, goals{}},

	// A synced write for each message, with everything on.
	{"publish-1-synced", entry{publish1, ledgered}, entry{publish1, raw}, rate, goals{}},
	{"publish-64-synced", entry{publish64, ledgered}, entry{publish1, raw}, rate, goals{embedded: 7}},

	// The ledger.
	{"ledger-publish-64", entry{publish64, ledgered}, entry{publish64, silent}, rate, goals{0.95, 0.95, 0.95, 0.95}},
	{"ledger-handled-64", entry{through64, ledgered}, entry{through64, silent}, rate, goals{0.95, 0.95, 0.95, 0.95}},

	// Growth: the same load, in more places.
	{"keys", entry{manyKeys, ours}, entry{fewKeys, ours}, rate, goals{0.9, 0.9, 0.9, 0.9}},
	{"keys-cpu", entry{manyKeys, ours}, entry{fewKeys, ours}, frugality, goals{0.9, 0.9, 0.9, 0.9}},
	{"channels-raw", entry{manyQueues, raw}, entry{through64, raw}, rate, goals{}},
	{"channels-cpu-raw", entry{manyQueues, raw}, entry{through64, raw}, frugality, goals{}},
	{"channels", entry{manyQueues, ours}, entry{through64, ours}, rate, goals{0.9, 0.9, 0.9, 0.9}},
	{"channels-cpu", entry{manyQueues, ours}, entry{through64, ours}, frugality, goals{0.9, 0.9, 0.9, 0.9}},
}

func comparisonNames() []string {
	var names []string
	for _, c := range comparisons {
		names = append(names, c.name)
	}
	return names
}

func (c config) compares(of comparison) bool {
	return len(c.only) == 0 || slices.Contains(c.only, of.name)
}

// wants reports whether an entry is measured: with everything, and else if it is compared.
func (c config) wants(e entry) bool {
	return len(c.only) == 0 || slices.ContainsFunc(comparisons, func(of comparison) bool {
		return c.compares(of) && (of.ours == e || of.other == e)
	})
}

// on is the goal on a network, by the scheme of its URL; 0 = none.
func (g goals) on(scheme string) float64 {
	switch scheme {
	case embeddedSite:
		return g.embedded
	case "amqp":
		return g.rabbitmq
	case "kafka":
		return g.kafka
	case "nats":
		return g.nats
	}
	return 0
}

// judge says what the figures of a network are worth.
func (s site) judge(c config, found map[string][]figures, r *report) {
	for _, of := range comparisons {
		ours, other := found[s.row(of.ours.contest, of.ours.kind)], found[s.row(of.other.contest, of.other.kind)]
		if len(ours) == 0 || len(other) == 0 || !c.compares(of) {
			continue
		}
		name, all, goal := of.name+"-"+s.name, ratiosOf(ours, other, of.in.of), of.goals.on(s.scheme)
		switch {
		case goal == 0:
			r.note(name, all)
		case of.in.atMost:
			r.atMost(name, all, goal)
		default:
			r.atLeast(name, all, goal)
		}
	}
}
