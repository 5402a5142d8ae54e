package network

import (
	"strings"
	"testing"
)

func TestURLsAreUnderstoodAndNamedWithoutPasswords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw, name string
		want      address
	}{
		{"embedded://", "embedded://./parley-data", address{scheme: "embedded", dir: "parley-data"}},
		{"embedded:///var/lib/shop", "embedded:///var/lib/shop", address{scheme: "embedded", dir: "/var/lib/shop"}},
		{"embedded://./shop/data", "embedded://./shop/data", address{scheme: "embedded", dir: "./shop/data"}},
		{"embedded://../shop", "embedded://../shop", address{scheme: "embedded", dir: "../shop"}},
		{"embedded://?prefix=staging", "embedded://./parley-data?prefix=staging", address{scheme: "embedded", dir: "parley-data", prefix: "staging"}},
		{"nats://localhost", "nats://localhost:4222", address{scheme: "nats", server: "localhost:4222"}},
		{"nats://[::1]:99/", "nats://[::1]:99", address{scheme: "nats", server: "[::1]:99"}},
		{"nats://s3cret@h:1", "nats://xxxxx@h:1", address{scheme: "nats", server: "h:1", user: "s3cret"}},
		{"nats://ann:s%20t@h:1?prefix=a-1", "nats://xxxxx@h:1?prefix=a-1", address{scheme: "nats", server: "h:1", user: "ann", password: "s t", prefix: "a-1"}},
		{"nats://h?journal=%2Fvar%2Fj", "nats://h:4222", address{scheme: "nats", server: "h:4222", journal: "/var/j"}},
		{"mem://", "mem://", address{scheme: "mem"}},
	} {
		got, err := parse(c.raw)
		if err != nil || got != c.want {
			t.Errorf("parse(%q) = %+v, %v; want %+v", c.raw, got, err, c.want)
			continue
		}
		if got.String() != c.name {
			t.Errorf("parse(%q).String() = %q, want %q", c.raw, got.String(), c.name)
		}
	}
}

func TestBadURLsAreRefusedWithEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw  string
		want []string // what the error says beside the valid forms
	}{
		{"ftp://h", []string{`unknown scheme "ftp"`}},
		{"localhost:4222", []string{`unknown scheme "localhost"`, "no //"}},
		{"/var/lib/shop", []string{"no scheme"}},
		{"amqp://guest:guest@h/", []string{"amqp:// is not built yet in this version"}},
		{"kafka://h:9092", []string{"kafka:// is not built yet in this version"}},
		{"nats://", []string{"no host"}},
		{"nats://:4222/orders?a=1&b=2&prefix=A#x", []string{"no host", "a path means nothing", "a fragment", `unknown parameter "a"`, `unknown parameter "b"`, `prefix "A"`}},
		{"nats://h:port", []string{`invalid port ":port"`}},
		{"nats://h?prefix=a&prefix=b", []string{`parameter "prefix" given 2 times`}},
		{"nats://h?prefix=%zz", []string{"parameters: malformed"}},
		{"embedded://data", []string{"embedded:///abs/dir or embedded://./rel"}},
		{"embedded://s3cret@./data", []string{"embedded:// has no user"}},
		{"mem://x", []string{"mem:// has nothing behind it"}},
		{"mem://?prefix=a", []string{`unknown parameter "prefix"`}},
		{"nats://s3cret:s3cret@h:s3cret@x/%zz", []string{"not a URL"}},
		{"nats://s3cret/with/slash@h:4222", []string{"a path means nothing"}},
	} {
		_, err := parse(c.raw)
		if err == nil {
			t.Errorf("parse(%q) succeeded, want an error that says %q", c.raw, c.want)
			continue
		}
		for _, want := range append(c.want, "embedded:///abs/dir", "nats://", "mem://") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("parse(%q) = %q; want it to say %q", c.raw, err, want)
			}
		}
		if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "guest") {
			t.Errorf("parse(%q) = %q; want no password in it", c.raw, err)
		}
	}
}
