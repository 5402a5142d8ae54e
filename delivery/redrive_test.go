package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestRedriveSendsTheSameIDAsTheNextCopyToTheFailingGroupAlone(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		var mail, fraud calls
		var healed atomic.Bool
		start(t, b, rec, delivery.Subscription{Channel: topic, Group: "mail", Style: "event", Retries: delivery.Retries{Delays: []time.Duration{time.Second}}, Handle: func(_ context.Context, e *transport.Envelope) error {
			if mail.add(e); healed.Load() {
				return nil
			}
			return errOut
		}})
		start(t, b, rec, delivery.Subscription{Channel: topic, Group: "fraud", Style: "event", Handle: func(_ context.Context, e *transport.Envelope) error {
			fraud.add(e)
			return nil
		}})
		e := to(topic, "order")
		e.Lifetime = 10 * time.Second
		send(t, b, e)
		redrive := func(want int) {
			t.Helper()
			dead, _ := graveyard(t, b)
			if len(dead) != want {
				t.Fatalf("%d dead letters; want %d", len(dead), want)
			}
			for range 2 { // it may be repeated
				if err := delivery.Redrive(context.Background(), b, rec, dead[want-1], "ann"); err != nil {
					t.Fatalf("Redrive = %v", err)
				}
			}
			time.Sleep(3 * time.Second)
		}
		time.Sleep(3 * time.Second)
		redrive(1)
		healed.Store(true)
		redrive(2)
		want := []string{
			"received 1/2", "failed 1/2", "delayed 1/2", "received 2/2a2", "failed 2/2a2", "dead-lettered 2/2a2",
			"received 1/2r1", "failed 1/2r1", "delayed 1/2r1", "received 2/2r1a2", "failed 2/2r1a2", "dead-lettered 2/2r1a2",
			"received 1/2r2", "done 1/2r2",
		}
		got := rec.of("order", "mail")
		got = slices.DeleteFunc(got, func(line string) bool { return strings.HasPrefix(line, "redriven") }) // checked below
		if !slices.Equal(got, want) {
			t.Errorf("trail = %q\nwant %q", got, want)
		}
		if fraud.count() != 1 {
			t.Errorf("the other group got it %d times; want once", fraud.count())
		}
		_, redriven := graveyard(t, b)
		if len(redriven) != 2 || redriven[0].Copy != "a2" || redriven[0].As != "r1" || redriven[1].Copy != "r1a2" || redriven[1].As != "r2" || redriven[1].By != "ann" || redriven[1].Receiver != "mail" {
			t.Errorf("redrives on record = %+v; want a2 as r1 and r1a2 as r2, by ann", redriven)
		}
		for _, x := range rec.transitions() {
			if x.Kind == ledger.Redriven && (x.By != "ann" || x.Group != "mail" || x.Style != "event") {
				t.Errorf("redriven: %+v; want it by ann, for mail, an event", x)
			}
		}
	})
}

func TestRedriveNeedsNothingButTheDeadLettersJSONAndDoesNotExpire(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("p").Broker()
		var all calls
		s := delivery.Subscription{Channel: keyed, Handle: func(_ context.Context, e *transport.Envelope) error {
			if all.add(e); all.count() == 1 {
				return delivery.Permanent(errOut)
			}
			return nil
		}}
		c := start(t, b, rec, s)
		e := withKey(to(keyed, "m"), "k")
		e.Lifetime = time.Minute
		send(t, b, e)
		synctest.Wait()
		if err := c.stop(); err != nil {
			t.Errorf("Run = %v; want nil", err)
		}
		dead, _ := graveyard(t, b)
		text, err := json.Marshal(dead[0])
		if err != nil {
			t.Fatalf("Marshal = %v", err)
		}
		d := new(delivery.DeadLetter)
		if err := json.Unmarshal(text, d); err != nil {
			t.Fatalf("Unmarshal = %v", err)
		}
		if err := delivery.Redrive(context.Background(), fabric.Process("cli").Broker(), ledger.Discard, d, "ann"); err != nil {
			t.Fatalf("Redrive = %v", err)
		}
		time.Sleep(time.Hour)
		start(t, b, rec, s)
		synctest.Wait()
		if len(all.list()) != 2 || all.list()[1].id != "m" || all.list()[1].copy != "r1" {
			t.Errorf("handled %+v; want m again as r1, an hour later", all.list())
		}
	})
}

func TestADeadLetterHoldsTheWholeMessageAndFitsBesideIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		word := rapid.StringMatching(`[a-z0-9]{1,12}`)
		text := rapid.StringMatching(`[ -~äß€"\\]{0,60}`)
		e := &transport.Envelope{
			ID: rapid.StringMatching(`[!-~]{1,40}`).Draw(rt, "id"), Address: queue.Address, Source: "test", Key: text.Draw(rt, "key"),
			Copy: rapid.SampledFrom([]string{"", "a4", "r1", "r12a4"}).Draw(rt, "copy"), ContentType: "application/json", Correlation: text.Draw(rt, "correlation"),
			Time: time.Unix(rapid.Int64Range(0, 1<<33).Draw(rt, "time"), 123456789).UTC(), Lifetime: time.Duration(rapid.SampledFrom([]int{0, 1, 1000}).Draw(rt, "lifetime")) * time.Hour,
			Attempt: rapid.IntRange(0, 100).Draw(rt, "attempt"), Body: rapid.SliceOf(rapid.Byte()).Draw(rt, "body"),
		}
		for range rapid.IntRange(0, 5).Draw(rt, "headers") {
			if e.Headers == nil {
				e.Headers = make(map[string]string)
			}
			e.Headers["x"+word.Draw(rt, "name")] = text.Draw(rt, "value")
		}
		if err := e.Validate(); err != nil {
			rt.Fatalf("the test's own message: %v", err)
		}
		wire, got, err := bury(rt, e)
		if err != nil {
			rt.Fatalf("Original = %v", err)
		}
		if a, b := show(got), show(e); a != b {
			rt.Fatalf("Original = %s\nwant %s", a, b)
		}
		if more := wire.Size() - e.Size(); more > delivery.Overhead {
			rt.Fatalf("the dead letter is %d bytes larger; want at most %d", more, delivery.Overhead)
		}
	})
}

// bury makes a dead letter of e by way of a consumer; wire is what it is on the broker.
func bury(rt *rapid.T, e *transport.Envelope) (wire, original *transport.Envelope, err error) {
	b := &capture{Broker: mem.New().Process("p").Broker(), deliver: e, sent: make(chan *transport.Envelope, 1)}
	c, err := delivery.New(b, nil, delivery.Subscription{Channel: queue, Handle: func(context.Context, *transport.Envelope) error {
		return delivery.Permanent(errors.New(strings.Repeat("€", 2000)))
	}})
	if err != nil {
		rt.Fatalf("New = %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, nil) }()
	wire = <-b.sent
	cancel()
	if err := <-ended; err != nil {
		rt.Fatalf("Run = %v", err)
	}
	if err := wire.Validate(); err != nil {
		rt.Fatalf("the dead letter: %v", err)
	}
	d, _, err := delivery.ReadDeadLetter(wire)
	if err != nil {
		return wire, nil, err
	}
	original, err = d.Original()
	return wire, original, err
}

func TestADeadLetterOfWhatNoBrokerWouldCarryIsStillOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		e := &transport.Envelope{
			ID: rapid.String().Draw(rt, "id"), Copy: rapid.String().Draw(rt, "copy"), Trace: string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "trace")),
			Source: rapid.String().Draw(rt, "source"), Body: []byte("?"), Headers: map[string]string{transport.Malformed: rapid.String().Draw(rt, "why")},
		}
		if wire, _, err := bury(rt, e); err != nil {
			rt.Fatalf("%v; its dead letter %+v; want one that can be read", err, wire)
		}
	})
}

// capture delivers one message and keeps what is sent.
type capture struct {
	transport.Broker
	deliver *transport.Envelope
	sent    chan *transport.Envelope
}

func (c *capture) Receive(ctx context.Context, _ transport.Route, take func(*transport.Delivery)) error {
	settled := make(chan struct{})
	take(&transport.Delivery{Envelope: c.deliver, Accepted: time.Now(), Valid: func() bool { return true }, Settle: func(transport.Outcome) { close(settled) }})
	<-settled
	<-ctx.Done()
	return nil
}

func (c *capture) Send(_ context.Context, batch []*transport.Envelope) []transport.Receipt {
	c.sent <- batch[0]
	return make([]transport.Receipt, len(batch))
}

// show is a message as text; an Attempt of 0 is the first one, as 1 is.
func show(e *transport.Envelope) string {
	shown := *e
	shown.Attempt = max(e.Attempt, 1)
	return fmt.Sprintf("%+v %q", shown, e.Body)
}

func TestReadDeadLetterRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, e := range []*transport.Envelope{
		{ID: "m", ContentType: "application/json", Body: []byte(`{}`)},
		{ID: "m", ContentType: "application/vnd.parley.dead-letter", Body: []byte(`{"version":2}`)},
		{ID: "m", ContentType: "application/vnd.parley.dead-letter", Body: []byte(`{`)},
		{ID: "m", ContentType: "application/vnd.parley.redriven+json", Body: []byte(`{"version":0}`)},
	} {
		if d, r, err := delivery.ReadDeadLetter(e); err == nil {
			t.Errorf("ReadDeadLetter(%s %s) = %v, %v, nil; want an error", e.ContentType, e.Body, d, r)
		}
	}
}
