package collector

import (
	"context"
	"io"
	nethttp "net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport/http"
	"github.com/parley-io/parley/transport/mem"
)

func TestTheTrailIsThereForCurl(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var parts sync.WaitGroup
	fabric := mem.New()
	c := New(fabric.Process("dev").Broker())
	caller, err := http.New(http.Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ready, serving := make(chan struct{}), make(chan string, 1)
	parts.Go(func() {
		if err := c.Run(ctx, func() { close(ready) }); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	parts.Go(func() {
		if err := caller.Answer(ctx, c.Endpoints(), func(peer string) { serving <- peer }); err != nil {
			t.Errorf("Answer: %v", err)
		}
	})
	<-ready
	peer := <-serving
	writer := ledger.NewWriter(fabric.Process("shop").Broker(), "shop")
	stored := make(chan struct{})
	writer.Record(ledger.Transition{Kind: ledger.Accepted, ID: "e1", Style: ledger.StyleEvent, Address: "shop.v1.order-placed", Key: "order/1 ü", Expected: []string{}}, func() { close(stored) })
	<-stored
	if _, err := Follow(ctx, caller, peer, "e1", 10*time.Second); err != nil { // stored is not yet read
		t.Fatal(err)
	}

	for path, want := range map[string]string{
		"/v1/messages/e1?wait=10s":               `"nobody":true`,
		"/v1/messages/order%2F1%20%C3%BC?wait=0": `"found":"key"`,
		"/v1/messages/e2":                        "not-found",
		"/v1/messages/e1?wait=soon":              "20s",
		"/v1/failed?ids=3&all=true":              `"causes":[]`,
		"/v1/failed/e1":                          "not-found",
		"/v1/redrives/r1?wait=1s":                "not-found",
		"/v1/stats":                              `"shop.v1.order-placed"`,
	} {
		if body := get(t, ctx, peer+path); !strings.Contains(body, want) {
			t.Errorf("GET %s: got %s; want it to have %s", path, body, want)
		}
	}
	var trail ledger.Trail
	if err := json.Unmarshal([]byte(get(t, ctx, peer+"/v1/messages/e1")), &trail); err != nil || !trail.Settled || len(trail.Hops) != 1 {
		t.Errorf("got %+v, %v; want a settled trail of one hop", trail, err)
	}
	if again, err := Follow(ctx, caller, peer, "e1", time.Second); err != nil || again.Revision != trail.Revision {
		t.Errorf("Follow: got revision %d, %v; want %d as by curl", again.Revision, err, trail.Revision)
	}
	if err := writer.Close(ctx); err != nil {
		t.Error(err)
	}
	stop()
	parts.Wait()
	if err := caller.Close(context.WithoutCancel(ctx)); err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, ctx context.Context, url string) string {
	t.Helper()
	r, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	answer, err := nethttp.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
