package main

import (
	"fmt"
	"slices"
	"testing"
)

// messageTargets are the names of those of a network, in their order.
func messageTargets(network, scheme string) (names []string) {
	for _, c := range comparisons {
		if c.goals.on(scheme) > 0 {
			names = append(names, c.name+"-"+network)
		}
	}
	return append(names, "ledger-drops-"+network, "backlog-rss-"+network)
}

// alike are figures of everybody in every contest of a network, the same for all.
func alike(s site) map[string][]figures {
	found := make(map[string][]figures)
	for _, t := range contests {
		for _, k := range t.who {
			if _, ok := brandOf(s.scheme, k); ok {
				found[s.row(t.title, k)] = []figures{{Count: 100, Took: 1e9, P50: 100, P99: 100, CPU: 1e9}}
			}
		}
	}
	return found
}

func TestEachComparisonIsOfWhatIsMeasured(t *testing.T) {
	for _, c := range comparisons {
		for _, e := range []entry{c.ours, c.other} {
			i := slices.IndexFunc(contests, func(t contest) bool { return t.title == e.contest })
			if i < 0 || !slices.Contains(contests[i].who, e.kind) {
				t.Errorf("%s compares %q in %q, which nobody measures", c.name, e.kind, e.contest)
			}
		}
	}
}

func TestEachNetworkHasItsGoals(t *testing.T) {
	everywhere := []string{"publish-64 0.9", "p50-2000 1.2", "p99-2000 2", "ledger-publish-64 0.95", "ledger-handled-64 0.95",
		"keys 0.9", "keys-cpu 0.9", "channels 0.9", "channels-cpu 0.9"}
	nats := []string{"handled-64 0.9", "publish-64-watermill 1.2", "consume-watermill 3.5", "ordered-1ms 40"}
	for scheme, more := range map[string][]string{
		"amqp": {"handled-64 0.9", "publish-64-watermill 1.3", "publish-64-watermill-defaults 9", "consume-watermill 1.5", "ordered-1ms 7",
			"handled-64-watermill 2.5"},
		"kafka":      {"publish-64-watermill 1.2", "consume-watermill 2.5", "ordered-1ms 15", "handled-64-watermill 2.5"},
		"nats":       nats,
		embeddedSite: append([]string{"publish-64-synced 7"}, nats...),
	} {
		s, r := site{name: "x", scheme: scheme}, report{}
		s.judge(config{}, alike(s), &r)
		var got, want []string
		for _, v := range r.Targets {
			got = append(got, fmt.Sprint(v.Name, " ", v.Goal))
		}
		for _, g := range slices.Concat(everywhere, more) {
			var name string
			var goal float64
			if _, err := fmt.Sscan(g, &name, &goal); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprint(name, "-x ", goal))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: targets %q; want %q", scheme, got, want)
		}
	}
}

func TestAGoalIsALimitWhereLessIsBetter(t *testing.T) {
	s := site{name: "x", scheme: "nats"}
	for _, c := range []struct {
		ours entry
		f    figures
		want string
	}{
		{entry{publish64, ours}, figures{Count: 89, Took: 1e9, CPU: 1e9}, "target publish-64-x 0.89 0.9 short"},
		{entry{publish64, ours}, figures{Count: 90, Took: 1e9, CPU: 1e9}, "target publish-64-x 0.9 0.9 ok"},
		{entry{paced, ours}, figures{Count: 100, Took: 1e9, P50: 100, P99: 201}, "target p99-2000-x 2.01 2 short"},
		{entry{paced, ours}, figures{Count: 100, Took: 1e9, P50: 121, P99: 1}, "target p50-2000-x 1.21 1.2 short"},
		{entry{manyKeys, ours}, figures{Count: 100, Took: 1e9, CPU: 2e9}, "target keys-cpu-x 0.5 0.9 short"},
	} {
		found, r := alike(s), report{}
		found[s.row(c.ours.contest, c.ours.kind)] = []figures{c.f}
		s.judge(config{}, found, &r)
		if !slices.ContainsFunc(r.Targets, func(v target) bool { return v.String() == c.want }) {
			t.Errorf("%+v in %q: got %v; want %q among them", c.f, c.ours.contest, r.Targets, c.want)
		}
	}
}
