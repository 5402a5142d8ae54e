package kafka

import (
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
)

func TestSettingsThatLoseMessagesAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings settings
		survives string
		want     []string // in the error
	}{
		{settings{}, "process", nil},
		{settings{brokers: 1, replicas: 1, inSync: 1}, "process", nil},
		{settings{brokers: 3, replicas: 3, inSync: 2}, "node", nil},
		{settings{brokers: 3, replicas: 1, inSync: 1}, "process", nil},
		{settings{brokers: 3, replicas: 2, inSync: 2}, "process", nil},
		{settings{brokers: 3, replicas: 3, inSync: 1}, "", []string{"min.insync.replicas=2"}},
		{settings{brokers: 1, replicas: 1, inSync: 1, unclean: true}, "", []string{"unclean.leader.election.enable=false"}},
		{settings{brokers: 1, replicas: 3, inSync: 1, unclean: true}, "", []string{"unclean", "min.insync", "3 replicas on 1 brokers"}},
	} {
		got, err := c.settings.survive()
		if got != c.survives || (err != nil) != (len(c.want) > 0) {
			t.Errorf("%+v: survive = %q, %v; want %q, an error with %q", c.settings, got, err, c.survives, c.want)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) || transport.CodeOf(err) != transport.FailedPrecondition {
				t.Errorf("%+v: survive = %v; want %q with code failed-precondition", c.settings, err, w)
			}
		}
	}
}

func TestWrongOptionsAreAllToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Options{
		Brokers: []string{"nowhere"}, Prefix: "A.B", Replicas: -1, SASL: SASL{Mechanism: "gssapi", User: "u", Password: "s3cret-word"},
	})
	if err == nil {
		t.Fatal("Open = nil; want an error")
	}
	for _, w := range []string{"nowhere", "prefix", "replicas", "gssapi"} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("Open = %v; want it to say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "s3cret-word") {
		t.Errorf("Open = %v; want no password in it", err)
	}
	ask := func() (string, error) { return "s3cret-word", nil }
	for _, s := range []SASL{{Mechanism: "plain", User: "u"}, {Mechanism: "plain", Ask: ask}, {Mechanism: "plain", User: "u", Password: "p", Ask: ask}} {
		if err := s.check(); err == nil {
			t.Errorf("check of a user with %v, password %v, Ask %v = nil; want an error", s.User != "", s.Password != "", s.Ask != nil)
		}
	}
	if _, err := Open(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "host:port") {
		t.Errorf("Open without brokers = %v; want an error that asks for one", err)
	}
}
