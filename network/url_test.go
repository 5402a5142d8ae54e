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
		{"nats://localhost", "nats://localhost:4222", address{scheme: "nats", servers: "localhost:4222"}},
		{"nats://[::1]:99/", "nats://[::1]:99", address{scheme: "nats", servers: "[::1]:99"}},
		{"nats://s3cret@h:1", "nats://xxxxx@h:1", address{scheme: "nats", servers: "h:1", user: "s3cret"}},
		{"nats://ann:s%20t@h:1?prefix=a-1", "nats://xxxxx@h:1?prefix=a-1", address{scheme: "nats", servers: "h:1", user: "ann", password: "s t", prefix: "a-1"}},
		{"nats://h?journal=%2Fvar%2Fj", "nats://h:4222", address{scheme: "nats", servers: "h:4222", journal: "/var/j"}},
		{"nats://a,b:1,[::1]?replicas=3&survives=node", "nats://a:4222,b:1,[::1]:4222", address{scheme: "nats", servers: "a:4222,b:1,[::1]:4222", replicas: 3, survives: "node"}},
		{"tls://s3cret@h?ca=%2Fca.pem", "tls://xxxxx@h:4222", address{scheme: "nats", secure: true, servers: "h:4222", user: "s3cret", ca: "/ca.pem"}},
		{"amqp://h", "amqp://h:5672", address{scheme: "amqp", servers: "h:5672", vhost: "/"}},
		{"amqp://h/", "amqp://h:5672", address{scheme: "amqp", servers: "h:5672", vhost: "/"}},
		{"amqp://h/%2F", "amqp://h:5672", address{scheme: "amqp", servers: "h:5672", vhost: "/"}},
		{"amqp://ann:p%2Fw@h:1,i/shop%2Fa?survives=process", "amqp://xxxxx@h:1,i:5672/shop%2Fa", address{scheme: "amqp", servers: "h:1,i:5672", user: "ann", password: "p/w", vhost: "shop/a", survives: "process"}},
		{"amqps://h/v", "amqps://h:5671/v", address{scheme: "amqp", secure: true, servers: "h:5671", vhost: "v"}},
		{"kafka://a:1,b:2,c", "kafka://a:1,b:2,c:9092", address{scheme: "kafka", servers: "a:1,b:2,c:9092"}},
		{"kafka://ann:s3%2Ccret@h?tls=on", "kafka://xxxxx@h:9092", address{scheme: "kafka", secure: true, servers: "h:9092", user: "ann", password: "s3,cret", sasl: "scram-sha-512"}},
		{"kafka://ann:pw@h?sasl=plain&tls=off&replicas=1", "kafka://xxxxx@h:9092", address{scheme: "kafka", servers: "h:9092", user: "ann", password: "pw", sasl: "plain", replicas: 1}},
		{"amqp://ann@h?password-file=%2Frun%2Fpw", "amqp://xxxxx@h:5672", address{scheme: "amqp", servers: "h:5672", user: "ann", vhost: "/", passwordFile: "/run/pw"}},
		{"nats://ann@h?password-file=%2Frun%2Fpw", "nats://xxxxx@h:4222", address{scheme: "nats", servers: "h:4222", user: "ann", passwordFile: "/run/pw"}},
		{"nats://h?password-file=%2Frun%2Ftoken", "nats://h:4222", address{scheme: "nats", servers: "h:4222", passwordFile: "/run/token"}},
		{"kafka://ann@h?password-file=%2Frun%2Fpw", "kafka://xxxxx@h:9092", address{scheme: "kafka", servers: "h:9092", user: "ann", passwordFile: "/run/pw", sasl: "scram-sha-512"}},
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
		whole, err := got.secret()
		if err != nil {
			t.Fatal(err)
		}
		if !got.elsewhere() { // only such a one is handed on
			continue
		}
		if again, err := parse(whole); err != nil || again != got {
			t.Errorf("parse(%q), its whole form, = %+v, %v; want the same %+v", whole, again, err, got)
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
		{"amqp://h/v?replicas=3", []string{`unknown parameter "replicas"`}},
		{"amqp://guest:1/guest@h/v", []string{"an @ behind the servers"}},
		{"amqp://guest:1?s3cret@h/v", []string{"an @ behind the servers"}},
		{"amqp://h,,i?ca=x", []string{"no host in place 2", "ca without TLS: want amqps://"}},
		{"kafka://?sasl=none&tls=yes&replicas=0&survives=all", []string{
			"no host in place 1", `sasl "none": want one of plain`, `tls "yes"`, `replicas "0"`, `survives "all": want one of process, power, node`,
		}},
		{"kafka://h?sasl=plain&ca=x", []string{"sasl without a user", "ca without TLS: want tls=on"}},
		{"kafka://guest@h/topic", []string{"a user without a password", "a path means nothing"}},
		{"nats://:s3cret@h", []string{"a password without a user"}},
		{"nats://ann:s3cret@h?password-file=pw", []string{"password-file and a password: want one of them"}},
		{"amqp://h?password-file=", []string{"password-file: want a file"}},
		{"amqp://h?password-file=pw", []string{"password-file without a user: want amqp://USER@"}},
		{"kafka://h?password-file=pw", []string{"password-file without a user: want kafka://USER@"}},
		{"embedded://?password-file=pw", []string{`unknown parameter "password-file"`}},
		{"embedded://?survives=power", []string{`unknown parameter "survives"`}},
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
		{"nats://s3cret/with/slash@h:4222", []string{"an @ behind the servers"}},
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
