package kafka_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestRemoveAllLeavesNothingOfItsPrefixAndAllOfOthers(t *testing.T) {
	t.Parallel()
	s := used(t)
	gone := prefix()
	other := gone + "-not"
	for _, p := range []string{gone, other} {
		b := open(t, s, p)
		for _, c := range []transport.Channel{
			{Address: "a.queue", Pattern: transport.Queue, Partitions: 2},
			{Address: "a.stream", Pattern: transport.Stream},
		} {
			declare(t, b, c)
			r := transport.Route{Channel: c, From: transport.Position{Start: true}}
			if c.Pattern == transport.Stream {
				r.Group = "mail"
			}
			later := envelope(c, "k")
			later.NotBefore = time.Now().Add(time.Hour)
			send(t, b, envelope(c, "k"), later)
			x := transporttest.StartReceiving(t, b, r)
			x.Done(1)
			x.Stop()
		}
		closeIt(t, b)
	}
	names := func() (all []string) {
		admin := kadm.NewClient(raw(t, s)) // a new one, as it remembers topics for a while
		topics, err := admin.ListTopics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		groups, err := admin.ListGroups(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range slices.Concat(topics.Names(), groups.Groups()) {
			if strings.HasPrefix(n, gone) {
				all = append(all, n)
			}
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	of := func(p string) (all []string) { // topics and groups; DELAY is both, if its mover had the time to join
		for _, n := range []string{"DELAY", "REGISTRY", "a.queue", "a.queue._", "a.stream", "a.stream.mail"} {
			all = append(all, p+"."+n)
		}
		return all
	}
	if got, want := names(), slices.Sorted(slices.Values(slices.Concat(of(gone), of(other)))); !slices.Equal(got, want) {
		t.Fatalf("got %q; want %q, else nothing is tried", got, want)
	}
	for range 2 { // the second time there is nothing
		if err := open(t, s, gone).RemoveAll(t.Context(), nil); err != nil {
			t.Errorf("RemoveAll = %v; want nil", err)
		}
	}
	if got, want := fmt.Sprint(names()), fmt.Sprint(of(other)); got != want {
		t.Errorf("got %s left; want %s, all of the other prefix and nothing else", got, want)
	}
	if err := open(t, s, other).RemoveAll(t.Context(), nil); err != nil {
		t.Errorf("RemoveAll = %v; want nil", err)
	}
}
