//go:build battery

package nats_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/transporttest"
)

// clusterPatience is for what must happen while a cluster of three shares a machine and elects leaders.
const clusterPatience = 2 * time.Minute

func startCluster(t *testing.T) *servers.Cluster {
	t.Helper()
	c, err := servers.StartCluster(t.Context(), servers.NATS, servers.Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
		defer cancel()
		c.KeepLogs(t.Failed())
		if err := c.Stop(ctx); err != nil {
			t.Errorf("Stop = %v; want nil", err)
		}
	})
	return c
}

func openCluster(t *testing.T, c *servers.Cluster) *nats.Broker {
	t.Helper()
	b, err := nats.Open(t.Context(), nats.Options{URL: c.URL, Replicas: 3, Survives: "node"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
	})
	return b
}

// connectRaw connects without a Broker; end waits until nothing of the connection runs.
func connectRaw(t *testing.T, url string, options ...natsio.Option) (nc *natsio.Conn, end func()) {
	t.Helper()
	nc, err := natsio.Connect(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	nc.SetClosedHandler(func(*natsio.Conn) { close(ended) })
	return nc, func() {
		nc.Close()
		<-ended
	}
}

// stepDown makes the leader of a stream ("STREAM.name") or of a consumer ("CONSUMER.stream.name") give way.
func stepDown(t *testing.T, c *servers.Cluster, of ...string) {
	t.Helper()
	nc, end := connectRaw(t, c.URL)
	defer end()
	for _, one := range of {
		kind, name, _ := strings.Cut(one, ".")
		ctx, cancel := context.WithTimeout(t.Context(), clusterPatience)
		m, err := nc.RequestWithContext(ctx, "$JS.API."+kind+".LEADER.STEPDOWN."+name, nil)
		cancel()
		if err != nil || strings.Contains(string(m.Data), `"error"`) {
			t.Logf("the leader of %s does not step down: %v", one, err) // there is none at the moment
		}
	}
}

// lines are senders of one key each, and what became of their messages: number n+1 is sent when n is confirmed.
type lines struct {
	mu        sync.Mutex
	confirmed map[string]int
	handled   map[string]int // the highest of all
	again     int
	wrong     []string
	changed   chan struct{}
}

func newLines() *lines {
	return &lines{confirmed: make(map[string]int), handled: make(map[string]int), changed: make(chan struct{})}
}

func (l *lines) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

// send sends until ctx is done, and repeats what is not confirmed.
func (l *lines) send(ctx context.Context, t *testing.T, b *nats.Broker, c transport.Channel, key string) {
	for n := 1; ctx.Err() == nil; n++ {
		e := &transport.Envelope{ID: key + "-" + strconv.Itoa(n), Source: "test", Address: c.Address, Key: key, Body: []byte(`{}`)}
		for begin := time.Now(); ; {
			err := b.Send(context.WithoutCancel(ctx), []*transport.Envelope{e})[0].Err
			if err == nil {
				break
			}
			if errors.Is(err, transport.ErrRefused) || time.Since(begin) > clusterPatience {
				t.Errorf("receipt of %s after %v: %v; want it to be stored", e.ID, time.Since(begin), err)
				return
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-t.Context().Done():
				return
			}
		}
		l.change(func() { l.confirmed[key] = n })
	}
}

// handle takes what comes until x has ended.
func (l *lines) handle(x *transporttest.Receiving) {
	for {
		select {
		case d := <-x.Got:
			if !d.Valid() {
				d.Settle(transport.Return)
				continue
			}
			key := d.Envelope.Key
			n, _ := strconv.Atoi(strings.TrimPrefix(d.Envelope.ID, key+"-"))
			l.change(func() {
				switch h := l.handled[key]; {
				case n == h+1:
					l.handled[key] = n
				case n <= h:
					l.again++
				default:
					l.wrong = append(l.wrong, d.Envelope.ID+" behind "+strconv.Itoa(h))
				}
			})
			d.Settle(transport.Done)
		case err := <-x.Ended:
			x.Ended <- err
			return
		}
	}
}

// until waits until f, which is called with everything held.
func (l *lines) until(t *testing.T, what string, f func() bool) {
	t.Helper()
	late := time.After(clusterPatience)
	for {
		l.mu.Lock()
		ok, changed := f(), l.changed
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Fatalf("%s: not within %v; confirmed %v, handled %v", what, clusterPatience, l.confirmed, l.handled)
		}
	}
}

// more waits until n more are confirmed, and n more are handled.
func (l *lines) more(t *testing.T, what string, n int) {
	t.Helper()
	sum := func(of map[string]int) (sum int) {
		for _, n := range of {
			sum += n
		}
		return sum
	}
	l.mu.Lock()
	confirmed, handled := sum(l.confirmed), sum(l.handled)
	l.mu.Unlock()
	l.until(t, what, func() bool { return sum(l.confirmed) >= confirmed+n && sum(l.handled) >= handled+n })
}

// end waits until all that was confirmed is handled.
func (l *lines) end(t *testing.T) {
	t.Helper()
	l.until(t, "at last", func() bool {
		for key, n := range l.confirmed {
			if l.handled[key] < n {
				return false
			}
		}
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("confirmed: %v; %d handled again", l.confirmed, l.again)
	if len(l.wrong) > 0 {
		t.Errorf("%d messages were handled out of order: %v; want none", len(l.wrong), l.wrong[:min(len(l.wrong), 10)])
	}
}

// sweptOut wants nothing to be stored in a stream.
func sweptOut(t *testing.T, c *servers.Cluster, stream string) {
	t.Helper()
	nc, end := connectRaw(t, c.URL)
	defer end()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	keeps(t, js, stream, 0)
}

func TestAClusterLosesAndDisordersNothingWhenLeadersChangeAndNodesDie(t *testing.T) {
	cluster := startCluster(t)
	channels := []transport.Channel{
		{Address: "topic", Pattern: transport.Topic, Partitions: 4},
		{Address: "queue", Pattern: transport.Queue, Partitions: 4}, // from which its receivers remove what is handled
	}
	sender := openCluster(t, cluster)
	declare(t, sender, channels...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all []*lines
	var xs []*transporttest.Receiving
	var receiving, sending sync.WaitGroup
	for range 2 {
		b := openCluster(t, cluster)
		for _, c := range channels {
			xs = append(xs, transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: group(c)}))
		}
	}
	for i, c := range channels {
		l := newLines()
		all = append(all, l)
		for at := i; at < len(xs); at += len(channels) {
			receiving.Go(func() { l.handle(xs[at]) })
		}
		for n := range 4 {
			sending.Go(func() { l.send(ctx, t, sender, c, c.Address+strconv.Itoa(n)) })
		}
	}
	const some = 50
	more := func(what string) {
		for _, l := range all {
			l.more(t, what, some)
		}
	}
	more("at first")
	for i := range 3 {
		stepDown(t, cluster, "STREAM.parley_topic", "STREAM.parley_queue")
		more("after other leaders of the channels")
		stepDown(t, cluster, "CONSUMER.parley_topic.g_"+strconv.Itoa(i), "CONSUMER.parley_queue._"+strconv.Itoa(i))
		more("after other leaders of consumers")
		stepDown(t, cluster, "STREAM.KV_parley_owners")
		more("after another leader of the bucket")
	}
	for i, node := range cluster.Nodes {
		begin := time.Now()
		if err := node.Kill(); err != nil {
			t.Fatal(err)
		}
		more("without node " + strconv.Itoa(i+1))
		t.Logf("%d more of each channel were confirmed and handled %v after node %d was killed", some, time.Since(begin), i+1)
		if err := node.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := cluster.InSync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	sending.Wait()
	for _, l := range all {
		l.end(t)
	}
	for _, x := range xs {
		x.Stop()
	}
	receiving.Wait()
	sweptOut(t, cluster, "parley_queue")
}
