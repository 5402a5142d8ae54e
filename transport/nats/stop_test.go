package nats_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

// stopLimit is for an orderly end of a server with hundreds of consumers, on a disk that syncs as fast as it should; on
// a slower one it is stopSyncs times what one sync takes.
const (
	stopLimit = 10 * time.Second
	stopSyncs = 1500
)

// syncing is how long this disk takes to sync a small write.
func syncing(t *testing.T, dir string) time.Duration {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		t.Fatal(err)
	}
	const writes = 50
	begin := time.Now()
	for range writes {
		_, err := f.WriteString("probe")
		if err := errors.Join(err, f.Sync()); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(begin)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return took / writes
}

func TestAServerWithHundredsOfConsumersStopsInTime(t *testing.T) {
	dir := t.TempDir()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, s)
	var routes []transport.Route
	for i := range 6 { // of 50 partitions, each of which is a consumer
		c := transport.Channel{Address: fmt.Sprintf("a.b%d", i), Pattern: transport.Topic, Partitions: 50}
		declare(t, b, c)
		routes = append(routes, transport.Route{Channel: c, Group: "g", Credit: transport.NewCredit(1000)})
	}
	var all []*transporttest.Receiving
	for _, r := range routes {
		x := transporttest.StartReceiving(t, b, r)
		var batch []*transport.Envelope
		for k := range 300 {
			batch = append(batch, envelope(r.Channel, fmt.Sprint(k)))
		}
		send(t, b, batch...)
		x.Done(len(batch))
		all = append(all, x)
	}
	for _, x := range all {
		x.Stop()
	}
	closeIt(t, b)
	sync := syncing(t, t.TempDir())
	limit := max(stopLimit, stopSyncs*sync)
	ctx, cancel := context.WithTimeout(context.Background(), 6*limit)
	defer cancel()
	begin := time.Now()
	if err := s.Close(ctx); err != nil {
		t.Fatalf("Close = %v; want nil", err)
	}
	took := time.Since(begin)
	t.Logf("a server with 300 consumers stopped in %v, on a disk that takes %v to sync", took, sync)
	if took > limit {
		t.Errorf("a server with 300 consumers stopped in %v; want at most %v on a disk that takes %v to sync", took, limit, sync)
	}
}
