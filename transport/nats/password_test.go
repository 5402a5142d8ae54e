package nats_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
)

// vault gives out a password, or an error.
type vault struct {
	mu       sync.Mutex
	password string
	err      error
	asked    int
}

func (v *vault) ask() (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	return v.password, v.err
}

// gives is what it gives out from now on. It returns how often it was asked by then.
func (v *vault) gives(password string, err error) (asked int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.password, v.err = password, err
	return v.asked
}

func (v *vault) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked
}

func TestAPasswordIsAskedForAgainUntilItIsRight(t *testing.T) {
	t.Parallel()
	const first, second = "the-first-token-of-all", "the-second-token-of-all"
	errSealed := errors.New("the vault is sealed")
	dir, v := t.TempDir(), &vault{err: errSealed}
	s := startServer(t, embedded.Options{Dir: dir, Listen: "127.0.0.1:0", Token: first})
	o := nats.Options{URL: s.URL(), Password: v.ask, Survives: "power"}
	if b, err := nats.Open(t.Context(), o); !errors.Is(err, errSealed) || transport.CodeOf(err) != transport.Unknown {
		t.Fatalf("Open without a password = %v, %v; want what was said instead, which may be over the next time", b, err)
	}
	v.gives("not-the-token-of-all", nil)
	refused(t, o, transport.Unauthenticated, "credentials")
	v.gives(first, nil)
	b, err := nats.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open with the token = %v; want nil", err)
	}
	t.Cleanup(func() { closeIt(t, b) })
	c := transport.Channel{Address: "rotated", Pattern: transport.Queue}
	declare(t, b, c)

	address := strings.TrimPrefix(s.URL(), "nats://")
	closeIt(t, s)
	v.gives("", errSealed)
	startServer(t, embedded.Options{Dir: dir, Listen: address, Token: second})
	said := func(words string) func(err error) bool {
		return func(err error) bool {
			return errors.Is(err, transport.ErrNotSent) && transport.CodeOf(err) == transport.Unavailable && strings.Contains(err.Error(), words)
		}
	}
	outcomeUntil(t, b, c, errSealed.Error(), said(errSealed.Error()))
	before := v.gives("not-the-token-of-all", nil)
	outcomeUntil(t, b, c, "credentials, five times", func(err error) bool {
		return said("credentials")(err) && v.count() >= before+5 // the library by itself gives up at the second refusal
	})
	v.gives(second, nil)
	outcomeUntil(t, b, c, "nothing", func(err error) bool { return err == nil })
}

// outcomeUntil sends until what becomes of it is as wanted.
func outcomeUntil(t *testing.T, b *nats.Broker, c transport.Channel, want string, is func(error) bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := b.Send(t.Context(), []*transport.Envelope{envelope(c, "k")})[0].Err
		if is(err) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("Send for a minute = %v; want it to say %s", err, want)
		}
	}
}

func TestAPasswordThatComesFromTwoPlacesIsRefused(t *testing.T) {
	t.Parallel()
	ask := func() (string, error) { return "s3cret", nil }
	for _, c := range []struct {
		options nats.Options
		want    string
	}{
		{nats.Options{URL: "nats://h", Token: "t", Password: ask}, "set either Password or Token"},
		{nats.Options{URL: "nats://u:s3cret@h", Password: ask}, "the URL has one, too"},
		{nats.Options{URL: "nats://u@h,v@i", Password: ask}, "several users"},
		{nats.Options{URL: "nats://h%zz", Password: ask}, "unreadable"},
	} {
		_, err := nats.Open(t.Context(), c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open(%q) = %v; want it to say %q, and no password", c.options.URL, err, c.want)
		}
	}
}

func TestAUserWhosePasswordIsAskedForIsTheURLs(t *testing.T) {
	t.Parallel()
	s := startProcess(t, authorization("first"))
	v := &vault{password: "first"}
	host := s.URL[strings.LastIndex(s.URL, "@")+1:]
	b, err := nats.Open(t.Context(), nats.Options{URL: "nats://parley@" + host + "," + host, Password: v.ask})
	if err != nil {
		t.Fatalf("Open as a user whose password is asked for = %v; want nil", err)
	}
	closeIt(t, b)
	if v.count() == 0 {
		t.Error("the password was asked for 0 times; want it asked for at the connection")
	}
}
