package conform

import (
	"errors"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
)

func TestAURLIsUnderstoodAndShownWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]place{
		"mem://":                                     {name: "mem://", plain: "mem://"},
		"embedded:///var/x":                          {name: "embedded:///var/x", plain: "embedded:///var/x", dir: "/var/x"},
		"embedded://./x":                             {name: "embedded://./x", plain: "embedded://./x", dir: "./x"},
		"nats://a:1,b":                               {name: "nats://a:1,b", plain: "nats://a:1,b", hosts: "a:1,b"},
		"nats://tok@a?survives=power":                {name: "nats://xxxxx@a?survives=power", plain: "nats://tok@a", hosts: "a", who: "tok@", secret: "tok"},
		"amqps://u:p%40%2F@a:5/v?ca=":                {},
		"amqp://u:p%40%2F@a,b/v":                     {name: "amqp://xxxxx@a,b/v", plain: "amqp://u:p%40%2F@a,b/v", hosts: "a,b", who: "u:p%40%2F@", secret: "p@/"},
		"kafka://u:p@a:1?sasl=plain":                 {name: "kafka://xxxxx@a:1?sasl=plain", plain: "kafka://u:p@a:1", hosts: "a:1", who: "u:p@", secret: "p"},
		"kafka://a?prefix=p&replicas=3":              {name: "kafka://a?prefix=p&replicas=3", plain: "kafka://a", hosts: "a"},
		"http://a":                                   {},
		"nats://a?prefix=" + strings.Repeat("x", 30): {},
	} {
		got, err := locate(raw, "")
		if want.name == "" {
			if !errors.Is(err, ErrOptions) {
				t.Errorf("locate(%q) = %v; want ErrOptions", raw, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("locate(%q) = %v; want nil", raw, err)
			continue
		}
		if got.name != want.name || got.plain != want.plain || got.hosts != want.hosts || got.who != want.who || got.secret != want.secret || got.dir != want.dir {
			t.Errorf("locate(%q) = %+v; want %+v", raw, got, want)
		}
		if err := transport.CheckPrefix(got.prefix); err != nil || !strings.Contains(got.prefix, "-") {
			t.Errorf("locate(%q): prefix %q, %v; want one of its own", raw, got.prefix, err)
		}
	}
}

func TestAPrefixBeginsWithThatOfTheURLAndIsNeverTheSame(t *testing.T) {
	t.Parallel()
	first, err := locate("nats://a?prefix=prod", "")
	second, err2 := locate("nats://a?prefix=prod", "")
	if err != nil || err2 != nil || first.prefix == second.prefix || !strings.HasPrefix(first.prefix, "prod-") {
		t.Errorf("got the prefixes %q and %q, %v, %v; want two that begin with prod- and are not the same", first.prefix, second.prefix, err, err2)
	}
	child, err := locate("nats://a?prefix=prod", first.prefix)
	if err != nil || child.prefix != first.prefix {
		t.Errorf("got the prefix %q of a child, %v; want that of its parent, %q", child.prefix, err, first.prefix)
	}
}

func TestABrokerIsReachedThroughOtherAddressesWithTheSameUser(t *testing.T) {
	t.Parallel()
	via := func(address string) string { return "via-" + strings.ReplaceAll(address, ":", "-") + ":9" }
	for raw, want := range map[string]string{
		"nats://tok@a,b:2":      "nats://tok@via-a-4222:9,via-b-2:9",
		"amqp://u:p@localhost/": "amqp://u:p@via-localhost-5672:9/",
	} {
		p, err := locate(raw, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := p.through(via).plain; got != want || !p.redirected() {
			t.Errorf("through(%q) = %q; want %q", raw, got, want)
		}
	}
	if p, _ := locate("kafka://a", ""); p.redirected() {
		t.Error("redirected(kafka) = true; want false, as a cluster tells where it is")
	}
}

func TestNoErrorHasThePasswordInAnyForm(t *testing.T) {
	t.Parallel()
	p, err := locate("amqp://u:p%40ss%2F@a", "")
	if err != nil {
		t.Fatal(err)
	}
	clean := p.discreet(&transport.Error{Code: transport.PermissionDenied, Message: "no: p@ss/ p%40ss%2F", Cause: errors.New("p@ss/")})
	if strings.Contains(clean.Error(), "p@ss") || strings.Contains(clean.Error(), "p%40ss") || transport.CodeOf(clean) != transport.PermissionDenied {
		t.Errorf("discreet = %v, code %v; want no password, and the same code", clean, transport.CodeOf(clean))
	}
}
