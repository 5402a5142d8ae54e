//go:build battery

package nats_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/internal/testdisk"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

// books are what is known outside of the broker about one channel.
type books struct {
	route transport.Route

	mu        sync.Mutex
	confirmed map[string]bool
	settled   map[string]bool // by the group
}

func newBooks(c transport.Channel, group string) *books {
	return &books{
		route:     transport.Route{Channel: c, Group: group, From: transport.Position{Start: true}, Credit: transport.NewCredit(5000)},
		confirmed: make(map[string]bool), settled: make(map[string]bool),
	}
}

// send sends batches until ctx is done.
func (k *books) send(ctx context.Context, b *nats.Broker, random *rand.Rand) {
	for ctx.Err() == nil {
		var batch []*transport.Envelope
		for range 1 + random.IntN(60) {
			batch = append(batch, envelope(k.route.Channel, strconv.Itoa(random.IntN(10))))
		}
		for i, r := range b.Send(ctx, batch) {
			if r.Err == nil {
				k.mu.Lock()
				k.confirmed[batch[i].ID] = true
				k.mu.Unlock()
			}
		}
	}
}

// settle takes what comes until ctx is done, and settles most of it.
func (k *books) settle(ctx context.Context, x *transporttest.Receiving, random *rand.Rand) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-x.Got:
			if random.IntN(10) == 0 {
				continue // a handler that never ends
			}
			k.mu.Lock()
			k.settled[d.Envelope.ID] = true
			k.mu.Unlock()
			d.Settle(transport.Done)
		}
	}
}

// removed is how much is stored no longer of a Queue.
func (k *books) removed(t *testing.T, s *embedded.Server) uint64 {
	t.Helper()
	if k.route.Channel.Pattern != transport.Queue {
		return 0
	}
	nc, end := connectRaw(t, "", natsio.InProcessServer(s), natsio.Token(s.Token()))
	defer end()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "parley_"+strings.ReplaceAll(k.route.Channel.Address, ".", "_"))
	if err != nil {
		t.Fatal(err)
	}
	state := stream.CachedInfo().State
	return state.LastSeq - state.Msgs
}

// check wants the group to get all that was confirmed and not settled. It returns how much that was, and how much of what
// was settled came again before it had all come.
func (k *books) check(t *testing.T, b *nats.Broker) (open, again int) {
	t.Helper()
	name := k.route.Channel.Address
	missing := make(map[string]bool)
	for id := range k.confirmed {
		if !k.settled[id] {
			missing[id] = true
		}
	}
	open = len(missing)
	late := k.route
	if late.Channel.Pattern != transport.Queue {
		late.From = transport.Position{} // a group that is lost would get nothing
	}
	x := transporttest.StartReceiving(t, b, late)
	defer x.Stop()
	timeout := time.After(time.Minute)
	for len(missing) > 0 {
		select {
		case d := <-x.Got:
			d.Settle(transport.Done)
			delete(missing, d.Envelope.ID)
			if k.settled[d.Envelope.ID] {
				again++
			}
			k.settled[d.Envelope.ID] = true
		case <-timeout:
			t.Fatalf("%s: of %d messages that were confirmed and not settled, %d are lost", name, open, len(missing))
		}
	}
	x.Cancel()
	for { // what else has come goes back
		select {
		case d := <-x.Got:
			d.Settle(transport.Return)
			continue
		case err := <-x.Ended:
			x.Ended <- err
		}
		break
	}
	if k.route.Channel.Pattern == transport.Stream {
		got, lost := readAll(t, b, k.route.Channel), 0
		for id := range k.confirmed {
			if got[id] != 1 {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("%s: of %d confirmed messages %d are not stored once", name, len(k.confirmed), lost)
		}
	}
	return open, again
}

// Everything that was confirmed survives a power loss: messages of channels that are a second old, and of channels that
// have been through it before; the groups, so that they get what was sent to them; and no position is ahead of what its
// group has settled.
func TestWhatWasConfirmedSurvivesAPowerLoss(t *testing.T) {
	rounds := 10
	if n, err := strconv.Atoi(os.Getenv("PARLEY_POWER_LOSSES")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	d := testdisk.New(t)
	data := filepath.Join(d.Dir, "data")
	var all []*books
	for round := range rounds {
		v := &transporttest.Daemon{Role: []string{"embedded", data, "127.0.0.1:0"}}
		if err := v.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		b, err := nats.Open(t.Context(), nats.Options{URL: v.Address, Token: serveToken, Survives: "power"})
		if err != nil {
			t.Fatal(err)
		}
		channels := []transport.Channel{
			{Address: "queue", Pattern: transport.Queue}, {Address: "topic", Pattern: transport.Topic},
			{Address: "stream", Pattern: transport.Stream}, {Address: "order", Pattern: transport.Topic, Partitions: 2},
			{Address: "tasks", Pattern: transport.Queue, Partitions: 2},
		}
		for _, c := range channels {
			c.Address += fmt.Sprintf(".v%d", round)
			group := "g"
			if c.Pattern == transport.Queue {
				group = ""
			}
			declare(t, b, c)
			all = append(all, newBooks(c, group))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		used := all[max(len(all)-2*len(channels), 0):] // the new ones, and those of the round before
		for _, k := range used {
			declare(t, b, k.route.Channel)
			x := transporttest.StartReceiving(t, b, k.route)
			one, other := rand.New(rand.NewPCG(random.Uint64(), 0)), rand.New(rand.NewPCG(random.Uint64(), 0))
			busy.Go(func() { k.send(ctx, b, one) })
			busy.Go(func() { k.settle(ctx, x, other) })
		}
		// When power fails: before receivers have removed anything from a Queue, while they do, or after it.
		time.Sleep(200*time.Millisecond + time.Duration(random.IntN(5000))*time.Millisecond)
		if err := d.LosePower(t.Context(), v.Process(), func() error { return v.Kill(t.Context()) }); err != nil {
			t.Fatal(err)
		}
		cancel()
		busy.Wait()
		gone, end := context.WithTimeout(context.Background(), time.Millisecond)
		_ = b.Close(gone) // the server is dead, and some deliveries are not settled
		end()

		s := startServer(t, embedded.Options{Dir: data})
		b = open(t, s)
		confirmed, open, again, removed := 0, 0, 0, uint64(0)
		for _, k := range used {
			declare(t, b, k.route.Channel)
			removed += k.removed(t, s)
			o, a := k.check(t, b)
			confirmed, open, again = confirmed+len(k.confirmed), open+o, again+a
		}
		t.Logf("round %d: %d confirmed in %d channels, %d of them not settled: none lost; %d settled ones came again; %d had been removed from queues",
			round, confirmed, len(used), open, again, removed)
		closeIt(t, b)
		closeIt(t, s)
	}
}
