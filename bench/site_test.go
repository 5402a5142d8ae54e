package main

import (
	"context"
	"regexp"
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

func TestASiteApartHasAPrefixOfItsOwn(t *testing.T) {
	for url, want := range map[string]string{
		"nats://h":                           `^nats://h\?prefix=bench-[a-z0-9]{6}$`,
		"amqp://u:p@h/v?prefix=x&survives=n": `^amqp://u:p@h/v\?prefix=x-[a-z0-9]{6}&survives=n$`,
		"":                                   `^$`,
	} {
		s := site{name: "x", url: url}
		got, again := s.apart().url, s.apart().url
		if ok, err := regexp.MatchString(want, got); err != nil || !ok || url != "" && got == again {
			t.Errorf("%q apart is %q, and then %q; want two like %s", url, got, again, want)
		}
	}
}
