package nats

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats/embedded"
)

// opened is a Broker on a server of its own.
func opened(t *testing.T) *Broker {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), Options{InProcess: s, Token: s.Token(), Survives: s.Survives()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(b.Close(ctx), s.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	return b
}

// A Broker that was cut off for longer than the bucket remembers who left must not wait for them.
func TestWhoLeftDuringALongOutageIsForgotten(t *testing.T) {
	t.Parallel()
	b := opened(t)
	b.owners.memory = 0 // every outage is a long one
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue, Partitions: 2}
	if err := b.Declare(t.Context(), []transport.Channel{c}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	got := make(chan int, 1000)
	go func() {
		ended <- b.Receive(ctx, transport.Route{Channel: c, Ready: func() { close(ready) }}, func(d *transport.Delivery) {
			got <- d.Partition
			d.Settle(transport.Done)
		})
	}()
	<-ready
	kv := b.owners.bucket()
	ghost := []string{leaseKey("ghost"), memberKey("parley_a_b._", "ghost-1")}
	for _, key := range ghost {
		if _, err := kv.Put(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	for members := 0; members < 2; { // until it is believed
		b.owners.mu.Lock()
		members = len(b.owners.crowd("parley_a_b._").members)
		b.owners.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	s, err := b.js.Stream(t.Context(), b.names.bucketStream())
	if err != nil {
		t.Fatal(err)
	}
	reconnected := b.reconnection()
	forgetUnheard(t, b, s, ghost)
	if err := b.nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	<-reconnected
	deadline := time.After(4 * time.Second) // less than LeaseTTL, after which the ghost were removed in any case
	for seen := map[int]bool{}; ; {
		for n := range 20 {
			e := &transport.Envelope{ID: fmt.Sprintf("%d.%d", time.Now().UnixNano(), n), Source: "test", Address: c.Address, Key: fmt.Sprint(n)}
			_ = b.Send(t.Context(), []*transport.Envelope{e}) // one that got lost is not missed
		}
		for len(got) > 0 { // all, as many of one partition may be before one of the other
			seen[<-got] = true
		}
		if len(seen) == 2 {
			break
		}
		select {
		case p := <-got:
			seen[p] = true
		case <-time.After(100 * time.Millisecond): // a round that got lost
		case <-deadline:
			t.Fatalf("deliveries of partitions %v only; want of all: the other member has left", seen)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Receive = %v; want nil", err)
	}
}

// forgetUnheard removes keys without a marker.
func forgetUnheard(t *testing.T, b *Broker, s jetstream.Stream, keys []string) {
	t.Helper()
	for _, key := range keys {
		if err := s.Purge(t.Context(), jetstream.WithPurgeSubject(b.names.key(key))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheServersAnswersSayWhetherToRepeat(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		answer serverError
		want   error
	}{
		{serverError{Code: 429, ErrCode: 1}, transport.ErrNotSent},
		{serverError{Code: 400, ErrCode: 1}, transport.ErrRefused},
		{serverError{Code: 400, ErrCode: codeTooLarge}, transport.ErrRefused},
		{serverError{Code: 503, ErrCode: codeStoreFailed}, transport.ErrNotSent},
		{serverError{Code: 400, ErrCode: 10047}, transport.ErrNotSent},
	} {
		if err := answered(&x.answer); !errors.Is(err, x.want) {
			t.Errorf("answered %+v = %v; want %v", x.answer, err, x.want)
		}
	}
	if err := unbegun(errors.New("i/o timeout"), nil); !errors.Is(err, transport.ErrNotSent) || errors.Is(err, transport.ErrRefused) {
		t.Errorf("unbegun = %v; want ErrNotSent", err)
	}
}

func TestADenialIsOfWholeNamesAndNotForEver(t *testing.T) {
	t.Parallel()
	c := &confirms{open: make(map[uint64]*flight)}
	deny := func() {
		c.forbidden(fmt.Errorf("%w for Publish to %q", natsio.ErrPermissionViolation, "$JS.API.STREAM.INFO.KV_parley_owners"))
	}
	deny()
	for name, want := range map[string]bool{"parley_owners": true, "parley": false, "parley_owner": false, "owners": false} {
		if got := c.denialOf([]string{"other", name}) != nil; got != want {
			t.Errorf("denied %s = %v; want %v", name, got, want)
		}
	}
	c.denied = time.Now().Add(-2 * answerLimit)
	if err := c.denialOf([]string{"parley_owners"}); err != nil {
		t.Errorf("denied after %v: %v; want nil", 2*answerLimit, err)
	}
	deny()
	c.lost()
	if err := c.denialOf([]string{"parley_owners"}); err != nil {
		t.Errorf("denied over another connection: %v; want nil", err)
	}
}
