package nats

import "testing"

func TestEachServerOfAURLGetsItsSchemeAndItsUser(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"nats://a:1":                            "nats://a:1",
		"a:1":                                   "nats://a:1",
		"nats://u:p@a:1,b:2, c:3":               "nats://u:p@a:1,nats://u:p@b:2,nats://u:p@c:3",
		"tls://token@a:1,b:2":                   "tls://token@a:1,tls://token@b:2",
		"nats://u:p@a:1,nats://v:q@b:2,tls://c": "nats://u:p@a:1,nats://v:q@b:2,tls://u:p@c",
		"nats://a:1,v:q@b:2":                    "nats://a:1,nats://v:q@b:2",
	} {
		if got := everywhere(in); got != want {
			t.Errorf("everywhere(%q) = %q; want %q", in, got, want)
		}
	}
	if got, want := redact(everywhere("nats://u:p@a:1,v:q@b:2")), "nats://a:1,nats://b:2"; got != want {
		t.Errorf("redacted: %q; want %q", got, want)
	}
}
