package nats_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestAMessageComesAsItWasSent(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	c := transport.Channel{Address: "orders.v1.cancel", Pattern: transport.Queue, Partitions: 8}
	declare(t, b, c)
	sent := &transport.Envelope{
		ID: "x-1.*>", Source: "shop", Address: c.Address, Key: "grün 1", ContentType: "application/json", Copy: "a4",
		Correlation: "x-0", Causation: "x-0", Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Lifetime: time.Hour, Attempt: 3,
		Headers: map[string]string{"empty": "", "spaces": "  a b  ", "unicode": "zażółć \"%\" 🙂", "long": strings.Repeat("ä", 4096)},
		Body:    []byte("\x00\xffraw"),
	}
	r := send(t, b, sent)[0]
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	d := x.Next()
	if !reflect.DeepEqual(d.Envelope, sent) {
		t.Errorf("got  %+v\nwant %+v", d.Envelope, sent)
	}
	if d.Position != r.Position || d.Position == "" {
		t.Errorf("position of delivery %q, of receipt %q; want the same", d.Position, r.Position)
	}
	if want := c.Partition(sent.Key); d.Partition != want {
		t.Errorf("partition %d; want %d", d.Partition, want)
	}
	if !d.Valid() || time.Since(d.Accepted).Abs() > time.Minute {
		t.Errorf("valid %v, accepted %v; want true and now", d.Valid(), d.Accepted)
	}
	d.Settle(transport.Done)
	x.Stop()
}

func TestATopicReachesEachGroupAndOneAlone(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b, other := open(t, s), open(t, s)
	c := transport.Channel{Address: "orders.v1.placed", Pattern: transport.Topic}
	declare(t, b, c)
	if r := send(t, b, envelope(c, ""))[0]; r.Groups != 0 {
		t.Errorf("Groups = %d with no subscriber; want 0", r.Groups)
	}
	mail := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "mail"})
	fraud := transporttest.StartReceiving(t, other, transport.Route{Channel: c, Group: "fraud"})
	all := envelope(c, "")
	if r := send(t, b, all)[0]; r.Groups != 2 {
		t.Errorf("Groups = %d, one of them of another connection; want 2", r.Groups)
	}
	one := *all
	one.Copy, one.Group = "a2", "fraud"
	two := one
	two.Group = "mail"
	if r := send(t, b, &one)[0]; r.Groups != 1 {
		t.Errorf("Groups of a message for one group = %d; want 1", r.Groups)
	}
	send(t, b, &two)
	last := envelope(c, "")
	send(t, b, last)
	for name, x := range map[string]*transporttest.Receiving{"mail": mail, "fraud": fraud} {
		for _, want := range []struct{ id, copy string }{{all.ID, ""}, {all.ID, "a2"}, {last.ID, ""}} {
			d := x.Next()
			if d.Envelope.ID != want.id || d.Envelope.Copy != want.copy {
				t.Errorf("%s got %s copy %q; want %s copy %q", name, d.Envelope.ID, d.Envelope.Copy, want.id, want.copy)
			}
			d.Settle(transport.Done)
		}
	}
	mail.Stop()
	if err := b.RemoveGroup(t.Context(), c, "mail"); err != nil {
		t.Fatalf("RemoveGroup = %v; want nil", err)
	}
	if r := send(t, b, envelope(c, ""))[0]; r.Groups != 1 {
		t.Errorf("Groups after one was removed = %d; want 1", r.Groups)
	}
	fraud.Done(1)
	fraud.Stop()
}

func TestAReceiveOfARemovedGroupEnds(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	c := transport.Channel{Address: "a.b", Pattern: transport.Topic}
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "mail"})
	if err := b.RemoveGroup(t.Context(), c, "mail"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-x.Ended:
		if !errors.Is(err, transport.ErrNotFound) {
			t.Errorf("Receive = %v; want an error wrapping ErrNotFound", err)
		}
	case <-time.After(patience):
		t.Fatal("Receive goes on; want it to end")
	}
}

func TestARepetitionIsStoredOnceAlsoAmongStrangers(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	declare(t, b, c)
	var batch []*transport.Envelope
	for range 40 {
		batch = append(batch, envelope(c, ""))
	}
	first := send(t, b, batch[20])[0]
	receipts := send(t, b, batch...) // as an atomic batch, which the server refuses
	if receipts[20].Position != first.Position {
		t.Errorf("position of the repetition %s; want the first one's, %s", receipts[20].Position, first.Position)
	}
	again := *batch[3]
	again.Copy = "r1"
	send(t, b, &again)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	got := x.Done(41)
	want := append([]string{batch[20].ID}, strings.Fields(idsOf(append(append([]*transport.Envelope{}, batch[:20]...), batch[21:]...)))...)
	if want = append(want, again.ID); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	x.Stop()
	if n, _, err := b.Backlog(t.Context(), c, ""); n != 0 || err != nil {
		t.Errorf("Backlog = %d, %v; want 0", n, err)
	}
}

func TestABatchIsStoredInItsOrder(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue, Partitions: 4}
	declare(t, b, c)
	var batch []*transport.Envelope
	for range 1200 {
		batch = append(batch, envelope(c, "k"))
	}
	receipts := send(t, b, batch...)
	for i := 1; i < len(receipts); i++ {
		if len(receipts[i].Position) < len(receipts[i-1].Position) ||
			len(receipts[i].Position) == len(receipts[i-1].Position) && receipts[i].Position <= receipts[i-1].Position {
			t.Fatalf("positions %s, %s of neighbours; want them to grow", receipts[i-1].Position, receipts[i].Position)
		}
	}
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	if got := strings.Join(x.Done(len(batch)), " "); got != idsOf(batch) {
		t.Error("deliveries are not in the order of the batch")
	}
	x.Stop()
}

func TestWhatCannotBeStoredIsRefused(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue, RetainBytes: 4096}
	declare(t, b, c)
	big := envelope(c, "")
	big.Body = make([]byte, transport.DefaultMaxBody+1)
	stranger := envelope(transport.Channel{Address: "not.declared"}, "")
	bad := envelope(c, "")
	bad.ID = "has space"
	far := envelope(c, "")
	far.NotBefore = time.Now().Add(nats.MaxDelay + time.Hour)
	for i, r := range b.Send(t.Context(), []*transport.Envelope{big, stranger, bad, far}) {
		if !errors.Is(r.Err, transport.ErrRefused) {
			t.Errorf("receipt %d: %v; want ErrRefused", i, r.Err)
		}
	}
	full := envelope(c, "")
	full.Body = make([]byte, 3000)
	send(t, b, full)
	next := envelope(c, "")
	next.Body = full.Body
	if r := b.Send(t.Context(), []*transport.Envelope{next})[0]; !errors.Is(r.Err, transport.ErrNotSent) {
		t.Errorf("receipt of a full channel: %v; want ErrNotSent", r.Err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if r := b.Send(cancelled, []*transport.Envelope{envelope(c, "")})[0]; !errors.Is(r.Err, transport.ErrNotSent) || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("receipt with a context that is done: %v; want ErrNotSent and context.Canceled", r.Err)
	}
}

func TestAnotherFormOfAChannelIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b, other := open(t, s), open(t, s)
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue, Partitions: 8}
	declare(t, b, c)
	declare(t, other, c)
	for _, d := range []transport.Channel{
		{Address: "a.b", Pattern: transport.Topic, Partitions: 8},
		{Address: "a.b", Pattern: transport.Queue, Partitions: 4},
		{Address: "a.b", Pattern: transport.Queue, Partitions: 8, Retain: time.Hour},
	} {
		for _, b := range []*nats.Broker{b, other} {
			err := b.Declare(t.Context(), []transport.Channel{d})
			if err == nil || !strings.Contains(err.Error(), "queue of 8 partitions") || !strings.Contains(err.Error(), "a.b") {
				t.Errorf("Declare of %+v = %v; want an error that names both forms", d, err)
			}
		}
		if err := b.Receive(t.Context(), transport.Route{Channel: d}, nil); err == nil {
			t.Errorf("Receive of %+v = nil; want an error", d)
		}
	}
}

func TestADelayedMessageComesWhenItIsDueAndCanBeCancelled(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	c := transport.Channel{Address: "a.b", Pattern: transport.Topic, Partitions: 4}
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
	cancelled, due := envelope(c, "k"), envelope(c, "k")
	due.NotBefore = time.Now().Add(400 * time.Millisecond)
	cancelled.NotBefore = due.NotBefore
	send(t, b, cancelled)
	send(t, b, due)
	send(t, b, due) // the repetition replaces the first
	if err := b.CancelDelayed(t.Context(), c, cancelled.ID); err != nil {
		t.Fatalf("CancelDelayed = %v; want nil", err)
	}
	if err := b.CancelDelayed(t.Context(), c, cancelled.ID); !errors.Is(err, transport.ErrNotFound) {
		t.Errorf("CancelDelayed again = %v; want ErrNotFound", err)
	}
	d := x.Next()
	if d.Envelope.ID != due.ID || d.Partition != c.Partition("k") || !d.Envelope.NotBefore.Equal(due.NotBefore) {
		t.Errorf("got %+v in partition %d; want %+v in %d", d.Envelope, d.Partition, due, c.Partition("k"))
	}
	if early := time.Until(due.NotBefore); early > 0 {
		t.Errorf("it came %v early", early)
	}
	d.Settle(transport.Done)
	due.NotBefore = time.Time{}
	send(t, b, due) // within the window: the same (ID, Copy)
	last := envelope(c, "k")
	send(t, b, last)
	if got := x.Done(1)[0]; got != last.ID {
		t.Errorf("got %s; want %s: the repetition is not stored", got, last.ID)
	}
	x.Stop()
}

func TestReturnedMessagesComeBeforeNewerOnes(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue, Partitions: 1}
	declare(t, b, c)
	batch := []*transport.Envelope{envelope(c, "k"), envelope(c, "k"), envelope(c, "k"), envelope(c, "k")}
	send(t, b, batch...)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Credit: transport.NewCredit(2)})
	one, two := x.Next(), x.Next()
	one.Settle(transport.Return)
	two.Settle(transport.Return)
	two.Settle(transport.Return) // a second time is nothing
	if got := strings.Join(x.Done(4), " "); got != idsOf(batch) {
		t.Errorf("got %s; want %s", got, idsOf(batch))
	}
	x.Stop()
}

func TestCreditBoundsWhatIsUnsettled(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	declare(t, b, c)
	var batch []*transport.Envelope
	for range 10 {
		batch = append(batch, envelope(c, ""))
	}
	send(t, b, batch...)
	credit := transport.NewCredit(3)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Credit: credit})
	held := []*transport.Delivery{x.Next(), x.Next(), x.Next()}
	credit.Set(0)
	for _, d := range held {
		d.Settle(transport.Done)
	}
	credit.Set(1)
	d := x.Next()
	if len(x.Got) > 0 {
		t.Errorf("%d more deliveries with a credit of 1; want none", len(x.Got))
	}
	d.Settle(transport.Done)
	credit.Set(100)
	x.Done(6)
	x.Stop()
}

func TestAStreamIsReadFromAnyPosition(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	c := transport.Channel{Address: "a.b", Pattern: transport.Stream, Partitions: 4, Retain: time.Hour}
	declare(t, b, c)
	var batch []*transport.Envelope
	for range 10 {
		batch = append(batch, envelope(c, "k"))
	}
	r := send(t, b, batch...)
	middle := transport.Position{At: r[4].Position}
	for _, x := range []struct {
		name        string
		group       string
		from, until transport.Position
		want        []*transport.Envelope
	}{
		{"all by a reader", "", transport.Position{Start: true}, transport.Position{At: r[9].Position}, batch[:9]},
		{"up to now", "", transport.Position{Start: true}, transport.Position{Time: time.Now()}, batch},
		{"the second half", "", middle, transport.Position{Time: time.Now()}, batch[4:]},
		{"the first half by a group", "half", transport.Position{Start: true}, middle, batch[:4]},
		{"nothing", "", middle, middle, nil},
	} {
		var got []*transport.Envelope
		err := b.Receive(t.Context(), transport.Route{Channel: c, Group: x.group, From: x.from, Until: x.until}, func(d *transport.Delivery) {
			got = append(got, d.Envelope)
			d.Settle(transport.Done)
		})
		if err != nil || idsOf(got) != idsOf(x.want) {
			t.Errorf("%s: got %v, %v; want %v", x.name, idsOf(got), err, idsOf(x.want))
		}
	}
	late := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	again := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "half"})
	if got := strings.Join(again.Done(6), " "); got != idsOf(batch[4:]) {
		t.Errorf("the group went on with %s; want %s", got, idsOf(batch[4:]))
	}
	one := envelope(c, "k")
	send(t, b, one)
	d := late.Next()
	if d.Envelope.ID != one.ID {
		t.Errorf("a reader from now got %s; want %s", d.Envelope.ID, one.ID)
	}
	d.Settle(transport.Return)
	if got := late.Done(1)[0]; got != one.ID {
		t.Errorf("after Return got %s; want %s again", got, one.ID)
	}
	late.Stop()
	again.Done(1)
	again.Stop()
	if r := b.Send(t.Context(), []*transport.Envelope{envelope(c, "k")})[0]; r.Err != nil || r.Groups != 1 {
		t.Errorf("Send = %+v; want one group: readers leave nothing behind", r)
	}
}

func TestAClosedBrokerSaysSo(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	declare(t, b, c)
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() { // for ever, so far as its context goes
		ended <- b.Receive(context.Background(), transport.Route{Channel: c, Ready: func() { close(ready) }}, nil)
	}()
	<-ready
	closeIt(t, b)
	if err := <-ended; err != nil {
		t.Errorf("Receive of a Broker that is closed = %v; want nil: nothing was unsettled", err)
	}
	if r := b.Send(t.Context(), []*transport.Envelope{envelope(c, "")})[0]; !errors.Is(r.Err, transport.ErrClosed) || !errors.Is(r.Err, transport.ErrNotSent) {
		t.Errorf("receipt %v; want ErrClosed and ErrNotSent", r.Err)
	}
	if err := b.Receive(t.Context(), transport.Route{Channel: c}, nil); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Receive = %v; want ErrClosed", err)
	}
	if err := b.Declare(t.Context(), nil); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Declare = %v; want ErrClosed", err)
	}
}
