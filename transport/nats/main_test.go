package nats_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	transporttest.Play(play)
	goleak.VerifyTestMain(m, tolerated()...)
}

// patience is for what must happen: a test that waits so long has failed.
const patience = 20 * time.Second

func startServer(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := embedded.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("starting the server: %v", err)
	}
	t.Cleanup(func() { closeIt(t, s) })
	return s
}

func open(t testing.TB, s *embedded.Server) *nats.Broker {
	t.Helper()
	b, err := nats.Open(t.Context(), nats.Options{InProcess: s, Token: s.Token(), Survives: s.Survives()})
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() { closeIt(t, b) })
	return b
}

func closeIt(t testing.TB, c interface {
	Close(ctx context.Context) error
}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // where the server denies rights, several answers are waited for
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Errorf("Close = %v; want nil", err)
	}
}

func declare(t testing.TB, b *nats.Broker, c ...transport.Channel) {
	t.Helper()
	if err := b.Declare(t.Context(), c); err != nil {
		t.Fatalf("Declare = %v; want nil", err)
	}
}

var ids struct {
	sync.Mutex
	n int
}

func envelope(c transport.Channel, key string) *transport.Envelope {
	ids.Lock()
	defer ids.Unlock()
	ids.n++
	return &transport.Envelope{ID: fmt.Sprintf("id-%d", ids.n), Source: "test", Address: c.Address, Key: key, Body: []byte(`{}`)}
}

func send(t testing.TB, b *nats.Broker, e ...*transport.Envelope) []transport.Receipt {
	t.Helper()
	receipts := b.Send(t.Context(), e)
	for i, r := range receipts {
		if r.Err != nil {
			t.Fatalf("receipt of %s: %v; want none", e[i].ID, r.Err)
		}
	}
	return receipts
}

// group is a name for a group of the channel, where it may have one.
func group(c transport.Channel) string {
	if c.Pattern == transport.Queue {
		return ""
	}
	return "g"
}

func idsOf(es []*transport.Envelope) string {
	var s []string
	for _, e := range es {
		s = append(s, e.ID)
	}
	return strings.Join(s, " ")
}
