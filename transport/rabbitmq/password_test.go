package rabbitmq_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/rabbitmq"
)

func TestAPasswordThatComesFromTwoPlacesOrIsNobodysIsRefused(t *testing.T) {
	t.Parallel()
	ask := func() (string, error) { return "s3cret", nil }
	for url, want := range map[string]string{
		"amqp://u:s3cret@h":   "the URL has one, too",
		"amqp://u:s3cret@h,i": "the URL has one, too",
		"amqp://h":            "the URL has no user",
	} {
		_, err := rabbitmq.Open(t.Context(), rabbitmq.Options{URL: url, Password: ask})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open(%q) = %v; want it to say %q, and no password", url, err, want)
		}
	}
}

func askedPassword(t *testing.T, s *servers.Server) {
	const user = "rotating"
	u, err := url.Parse(as(t, s, user, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	u.User = url.User(user)
	for _, args := range [][]string{{"add_user", user, password}, {"set_permissions", "-p", "parley", user, ".*", ".*", ".*"}} {
		if out, err := s.Rabbitmqctl(t.Context(), args...); err != nil {
			t.Fatalf("rabbitmqctl %v: %v: %s", args[0], err, out)
		}
	}
	errSealed := errors.New("the vault is sealed")
	type answer struct {
		password string
		err      error
	}
	var given atomic.Pointer[answer]
	given.Store(&answer{err: errSealed})
	o := rabbitmq.Options{URL: u.String(), Password: func() (string, error) { a := given.Load(); return a.password, a.err }}
	if _, err := rabbitmq.Open(t.Context(), o); !errors.Is(err, errSealed) || transport.CodeOf(err) != transport.Unknown {
		t.Fatalf("Open without a password = %v; want what was said instead, which may be over the next time", err)
	}
	given.Store(&answer{password: "wrong-one"})
	if _, err := rabbitmq.Open(t.Context(), o); transport.CodeOf(err) != transport.Unauthenticated || strings.Contains(err.Error(), "wrong-one") {
		t.Fatalf("Open with a wrong password = %v; want unauthenticated, without the password", err)
	}
	given.Store(&answer{password: password})
	b, err := rabbitmq.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open with the password = %v; want nil", err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	c := channel(t, b, transport.Queue, 0)
	given.Store(&answer{err: errSealed})
	if out, err := s.Rabbitmqctl(t.Context(), "close_all_user_connections", user, "for a test"); err != nil {
		t.Fatalf("rabbitmqctl: %v: %s", err, out)
	}
	sendUntil(t, b, c, errSealed.Error(), func(err error) bool { return errors.Is(err, transport.ErrNotSent) && errors.Is(err, errSealed) })
	given.Store(&answer{password: "wrong-one"})
	sendUntil(t, b, c, "unauthenticated", func(err error) bool {
		return errors.Is(err, transport.ErrNotSent) && transport.CodeOf(err) == transport.Unauthenticated
	})
	given.Store(&answer{password: password})
	sendUntil(t, b, c, "nothing", func(err error) bool { return err == nil })
}

// sendUntil sends until what becomes of it is as wanted.
func sendUntil(t *testing.T, b *rabbitmq.Broker, c transport.Channel, want string, is func(error) bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := b.Send(t.Context(), []*transport.Envelope{envelope(c, 1)})[0].Err
		if is(err) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("Send for a minute = %v; want it to say %s", err, want)
		}
	}
}
