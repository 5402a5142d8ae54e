package main

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestANetworkIsSomeNamesOrAURL(t *testing.T) {
	for _, ok := range []string{"embedded", "rabbitmq", "kafka,nats", "all", "amqp://u:p@h/v", "kafka://h:1,g:2", "nats://h?prefix=x"} {
		if err := checkNetwork(ok); err != nil {
			t.Errorf("checkNetwork(%s) = %v; want nil", ok, err)
		}
	}
	for _, bad := range []string{"", "rabbit", "kafka,x", "http://u:secret@h", "embedded:///x", "amqp://u:secret@h:port"} {
		if err := checkNetwork(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("checkNetwork(%s) = %v; want an error without the password", bad, err)
		}
	}
}

func TestAURLIsOneSiteWithTheNameOfItsServer(t *testing.T) {
	for url, want := range map[string]string{"amqp://u:p@h/v": "rabbitmq", "kafka://h:1,g:2": "kafka", "nats://h": "nats"} {
		var got []string
		err := eachSite(t.Context(), config{network: url}, t.Logf, func(_ context.Context, s site) error {
			got = append(got, s.name)
			return nil
		})
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s is the sites %v, %v; want %s", url, got, err, want)
		}
	}
}

func TestEachServerHasItsGoals(t *testing.T) {
	for scheme, want := range map[string][]string{
		"amqp":     {"target publish-64-x 0.5 0.8 short", "target ordered-1ms-x 0.5 5 short"},
		"kafka":    {"target publish-64-x 0.5 0.8 short", "target ordered-1ms-x 0.5 10 short"},
		"nats":     {"target publish-64-x 0.5 0.8 short"},
		"embedded": nil,
	} {
		s, found, r := site{name: "x", scheme: scheme}, make(map[string][]figures), report{}
		for _, c := range contests {
			for _, b := range brands(scheme) {
				f := figures{Count: 200, Took: 1e9, P50: 1, P99: 1}
				if b.name == parleys {
					f.Count /= 2
				}
				found[s.row(c.title, b.name)] = []figures{f}
			}
		}
		s.judge(brands(scheme), found, &r)
		var got []string
		for _, l := range r.Targets {
			got = append(got, l.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q; want %q", scheme, got, want)
		}
		// Each but the pace and the order over both others, the order over Watermill, the pace in two respects over raw.
		if ratios := len(r.Notes) + len(r.Targets); ratios != 2*(len(contests)-2)+1+2 {
			t.Errorf("%s: %d ratios in %d contests; want one for each", scheme, ratios, len(contests))
		}
	}
}
