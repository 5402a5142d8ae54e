package network

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
)

func TestWhatADriverSaysHoldsNoPassword(t *testing.T) {
	t.Parallel()
	where, err := parse("amqp://ann:s3cret%2F%20word@h/v")
	if err != nil {
		t.Fatal(err)
	}
	driver := &transport.Error{
		Code: transport.Unauthenticated, Message: "log in to amqp://ann:s3cret%2F%20word@h as ann", NotSent: true,
		Cause: errors.New("s3cret/ word or s3cret%2F+word is wrong"),
	}
	got := where.discreet(fmt.Errorf("rabbitmq: %w, then %w", driver, context.DeadlineExceeded))
	e, ok := errors.AsType[*transport.Error](got)
	if !ok || transport.CodeOf(got) != transport.Unauthenticated || !e.NotSent || !errors.Is(got, context.DeadlineExceeded) {
		t.Errorf("discreet = %#v, want the same error to errors.Is and CodeOf", got)
	}
	for _, text := range []string{got.Error(), e.Error(), e.Message, e.Cause.Error()} {
		if strings.Contains(text, "s3cret") || !strings.Contains(text, hidden) {
			t.Errorf("discreet says %q, want %s instead of the password", text, hidden)
		}
	}
	plain := errors.New("no route to host")
	if got := where.discreet(plain); got != plain {
		t.Errorf("discreet of an error without the password = %v, want that error", got)
	}
	if got := where.discreet(nil); got != nil {
		t.Errorf("discreet(nil) = %v, want nil", got)
	}
}

func TestABrokerMustSurviveWhatTheURLSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url, survives string
		want          []string // of the error; nil = accepted
	}{
		{"kafka://h", "node", nil},
		{"kafka://h?survives=node", "node", nil},
		{"kafka://h", "process", []string{"min.insync.replicas=2", "survives=process"}},
		{"kafka://h?survives=process", "process", nil},
		{"kafka://h?survives=node", "process", []string{"has to survive the loss of a node"}},
		{"amqp://h", "process", []string{"streams", "survives=process"}},
		{"amqp://h?survives=process", "process", nil},
		{"nats://h?survives=power", "power", nil},
		{"nats://h?survives=node", "power", []string{"survives=power in the URL"}},
		{"nats://h", "process", []string{"sync_interval: always", "survives=process"}},
	} {
		where, err := parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		err = where.checkSurvives(transport.Features{Survives: c.survives})
		if (err == nil) != (c.want == nil) || err != nil && !errors.Is(err, ErrURL) {
			t.Errorf("%s on a broker of which survives %s = %v; want an error: %v", c.url, c.survives, err, c.want != nil)
		}
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s on a broker of which survives %s = %v; want it to say %q", c.url, c.survives, err, want)
			}
		}
	}
}
