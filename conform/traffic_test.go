package conform

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestAProcessIsSeenToFreezeToDieAndToEndInOrder(t *testing.T) {
	t.Parallel()
	const second = int64(time.Second)
	for name, x := range map[string]struct {
		beats   []int64
		end     bool
		silence []gap
	}{
		"in order":  {[]int64{second, second + 1e8, second + 2e8}, true, nil},
		"killed":    {[]int64{second, second + 1e8}, false, nil},
		"slow":      {[]int64{second, second + 9e8, second + 18e8}, true, nil},
		"frozen":    {[]int64{second, 5 * second, 5*second + 1e8}, true, []gap{{second, 5 * second}}},
		"never was": {nil, false, nil},
	} {
		var text strings.Builder
		for _, at := range x.beats {
			fmt.Fprintf(&text, "%s %d\n", lineBeat, at)
		}
		if x.end {
			fmt.Fprintf(&text, "%s %d\n", lineEnd, x.beats[len(x.beats)-1]+1)
		}
		l, err := new(memory).read(strings.NewReader(text.String()))
		if err != nil || l.ended != x.end || !slices.Equal(l.silence, x.silence) || (l.last == 0) != (x.beats == nil) {
			t.Errorf("%s: got %+v, %v; want ended %v and silence %v", name, l, err, x.end, x.silence)
		}
	}
}

func TestWhatAChildNotesIsReadAsItWasAlsoWhenItsLastLineIsCut(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "diary")
	f, err := openFile(name)
	if err != nil {
		t.Fatal(err)
	}
	e := &transport.Envelope{ID: "1", Address: "a"}
	at := time.Now()
	r := transport.Route{Channel: transport.Channel{Address: "a.b", Pattern: transport.Topic, Partitions: 3, Retain: time.Hour}, Group: "mail"}
	f.note(sent, number(e), at)
	f.note(handled, number(e), at.Add(time.Second))
	f.route(r)
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var m memory
	if l, err := m.read(bytes.NewReader(append(text, "h 12"...))); err != nil || !l.ended {
		t.Errorf("read = %+v, %v; want the end", l, err)
	}
	want := []event{{sent, number(e), at.UnixNano()}, {handled, number(e), at.Add(time.Second).UnixNano()}}
	if got := slices.Concat(m.take()...); !slices.Equal(got, want) {
		t.Errorf("got events %v; want %v", got, want)
	}
	if !m.routes[r.Channel]["mail"] {
		t.Errorf("got routes %v; want %v", m.routes, r)
	}
}

func FuzzDiary(f *testing.F) {
	f.Add("beat 1\ns 1f 2\nh 1f 3\nroute {\"Address\":\"a\",\"Pattern\":1}\nend 4\n")
	f.Add("s \nh x y\nbeat\nroute {\nend -1")
	f.Fuzz(func(t *testing.T, text string) {
		var m memory
		l, _ := m.read(strings.NewReader(text))
		if got := len(slices.Concat(m.take()...)); got > strings.Count(text, "\n")+1 {
			t.Errorf("got %d events of %d lines; want one each at the most", got, strings.Count(text, "\n")+1)
		}
		for _, g := range l.silence {
			if g.to-g.from < int64(silent) {
				t.Errorf("got silence %+v; want none shorter than %v", g, silent)
			}
		}
	})
}

// still is a broker that stores what it is given, and hands it out once.
type still struct {
	transport.Broker
	got chan *transport.Envelope
}

func (b still) Send(_ context.Context, batch []*transport.Envelope) []transport.Receipt {
	receipts := make([]transport.Receipt, len(batch))
	for i, e := range batch {
		if e.ID == "refused" {
			receipts[i].Err = transport.ErrRefused
			continue
		}
		b.got <- e
	}
	return receipts
}

func (b still) Receive(ctx context.Context, _ transport.Route, take func(*transport.Delivery)) error {
	for {
		select {
		case e := <-b.got:
			take(&transport.Delivery{Envelope: e, Settle: func(o transport.Outcome) {
				if o == transport.Return {
					b.got <- e
				}
			}})
		case <-ctx.Done():
			return nil
		}
	}
}

func TestATripEndsWithTheHandlingAndBeginsWhenAMessageWasDue(t *testing.T) {
	t.Parallel()
	traffic, err := newTraffic(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := traffic.end(); err != nil {
			t.Errorf("end = %v; want nil", err)
		}
	}()
	b := watch(still{got: make(chan *transport.Envelope, 10)}, &traffic.diary)
	due := time.Now().Add(50 * time.Millisecond)
	b.Send(t.Context(), []*transport.Envelope{{ID: "now", Address: "a"}, {ID: "later", Address: "a", NotBefore: due}, {ID: "refused", Address: "a"}})
	b.Send(t.Context(), []*transport.Envelope{{ID: "never handled", Address: "b"}})
	ctx, cancel := context.WithCancel(t.Context())
	left, returned := 3, false
	if err := b.Receive(ctx, transport.Route{Channel: transport.Channel{Address: "a", Pattern: transport.Queue}}, func(d *transport.Delivery) {
		switch {
		case d.Envelope.ID == "never handled":
			left--
		case d.Envelope.ID == "now" && !returned:
			returned = true
			d.Settle(transport.Return)
		default:
			left--
			d.Settle(transport.Done)
		}
		if left == 0 {
			cancel()
		}
	}); err != nil {
		t.Fatalf("Receive = %v; want nil", err)
	}
	if got := traffic.close(); got != 2 {
		t.Errorf("got %d messages sent and handled; want 2", got)
	}
	for _, x := range traffic.trips {
		if x.to < x.from || x.to-x.from > int64(time.Minute) {
			t.Errorf("got a trip of %v; want it from the sending, or its due time, to the handling", time.Duration(x.to-x.from))
		}
	}
	if routes := traffic.routes(); len(routes) != 1 || routes[0].Channel.Address != "a" {
		t.Errorf("got the routes %v; want the one that was received from", routes)
	}
}

func TestPointsAreEquallyFarApartAndKnowTheLargestBacklog(t *testing.T) {
	t.Parallel()
	const ms = int64(time.Millisecond)
	trips := []trip{{10 * ms, 20 * ms}, {10 * ms, 30 * ms}, {10 * ms, 250 * ms}, {240 * ms, 260 * ms}}
	got := points(trips, 300*time.Millisecond)
	want := []Point{
		{At: 100, Handled: 2, P50: 10, P99: 10, Backlog: 3},
		{At: 200, Handled: 0, Backlog: 1},
		{At: 300, Handled: 2, P50: 20, P99: 20, Backlog: 2},
	}
	if !slices.Equal(got, want) {
		t.Errorf("points = %+v; want %+v", got, want)
	}
	if long := points(nil, 10*time.Hour); len(long) > maxPoints+1 {
		t.Errorf("got %d points of a long run; want %d at the most", len(long), maxPoints)
	}
	if s := sum(trips); s.Messages != 4 || s.P50 != 20 || s.Max != 240 {
		t.Errorf("sum = %+v; want 4 messages, a median of 20 ms and a maximum of 240 ms", s)
	}
}
