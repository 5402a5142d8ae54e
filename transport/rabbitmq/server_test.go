package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/rabbitmq"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestOnARealServer(t *testing.T) {
	s := start(t)
	dead, die := context.WithCancel(t.Context())
	die()
	for _, c := range []struct {
		name string
		test func(*testing.T, *servers.Server)
	}{
		{"what is wrong with a connection is told", wrongConnections},
		{"a password is asked for again until it is right", askedPassword},
		{"a right that is missing refuses what it is about and nothing else", missingRights},
		{"a queue that exists with other arguments is refused", foreignQueue},
		{"messages of all sizes pass a secure connection", overTLS},
		{"a stranger's message is delivered as malformed", strangersMessage},
		{"events go to and come from the official SDK", officialSDK},
		{"what somebody deleted is declared again", deletedQueue},
		{"the receivers of a removed group end", removedGroup},
		{"a paused receiver leaves the messages to others", pausedReceiver},
		{"a stream's group goes on where it was", streamGroupGoesOn},
		{"a stream that was deleted and made again is read from its beginning", deletedStream},
		{"who is ready gets what is sent from then on", readyMeansReady},
		{"a position that cannot be read is the beginning", unreadablePosition},
		{"the backlog of a stream is told while it is written to and by many at once", backlogOfStream},
		{"what was on its way to a deleted exchange is not said to be not sent", deletedExchange},
		{"after a lost connection nothing of a batch overtakes and partitions are yielded", lostConnection},
		{"a full queue does not hold up what is delayed for others", fullQueue},
		{"what is delayed comes once and not before its time", onTime},
		{"what is due on a topic comes once to its groups and waits for none", dueOnTopics},
		{"when who moves what is due ends in order the next goes on", movers(context.Background())},
		{"when who moves what is due dies nothing is lost and nothing early", movers(dead)},
		{"a short delay does not wait behind long ones", longBeforeShort},
		{"what leaves the ladder waits for its rest and is handed on", offTheLadder},
		{"what is delayed goes on after somebody has deleted its place", deletedNear},
		{"what is due while its queue is away comes when that is back", awayWhenDue},
		{"a connection without free channels refuses", noChannels},
		{"a server that does not answer is not asked ever more", slowToDeclare},
		{"members that cannot be counted do not end the receiving", foreignMembers},
		{"partitions are shared with who joins", partitionsAreShared},
		{"while the server takes nothing Send ends with its context and receiving goes on", blocked},
		{"of a server that is silent everything ends with its context and comes back", silentServer},
		{"a handler that takes longer than the server allows does not end the receiving", slowHandler},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// as is the server's URL for another user, password or virtual host.
func as(t *testing.T, s *servers.Server, user, password, vhost string) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if user == "" {
		user = u.User.Username()
	}
	if password == "" {
		password, _ = u.User.Password()
	}
	u.User = url.UserPassword(user, password)
	if vhost != "" {
		u.Path = "/" + vhost
	}
	return u.String()
}

func wrongConnections(t *testing.T, s *servers.Server) {
	for _, c := range []struct {
		url   string
		code  transport.Code
		words string
	}{
		{as(t, s, "", "wrong-one", ""), transport.Unauthenticated, `user "parley"`},
		{as(t, s, "nobody", "wrong-one", ""), transport.Unauthenticated, `user "nobody"`},
		{as(t, s, "", "", "no-such-host"), transport.NotFound, `virtual host "no-such-host"`},
		{"amqp://parley:wrong-one@127.0.0.1:1/parley", transport.Unavailable, "127.0.0.1:1"},
		{strings.Replace(s.URL, "amqp://", "amqps://", 1), transport.FailedPrecondition, "TLS"},
	} {
		b, err := rabbitmq.Open(t.Context(), rabbitmq.Options{URL: c.url})
		if err == nil {
			_ = b.Close(t.Context())
		}
		if transport.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.words) {
			t.Errorf("Open = %v; want %s and %s", err, c.code, c.words)
		}
		if strings.Contains(fmt.Sprint(err), "wrong-one") {
			t.Errorf("Open = %v; want an error without the password", err)
		}
	}
	two := strings.Replace(s.URL, "@", "@127.0.0.1:1,", 1)
	open(t, two) // the first of two servers is away
}

func missingRights(t *testing.T, s *servers.Server) {
	control := func(args ...string) {
		t.Helper()
		if out, err := s.Rabbitmqctl(t.Context(), args...); err != nil {
			t.Fatalf("rabbitmqctl %v: %v: %s", args, err, out)
		}
	}
	control("add_user", "limited", "a-password")
	control("set_permissions", "-p", "parley", "limited", `^parley\.(?!closed)`, `^parley\.(?!open-to-read)`, `^parley\.(?!closed)`)
	b, all := open(t, as(t, s, "limited", "a-password", "")), open(t, s.URL)
	closed := transport.Channel{Address: "closed.one", Pattern: transport.Queue}
	err := b.Declare(t.Context(), []transport.Channel{closed})
	if !errors.Is(err, transport.ErrRefused) || transport.CodeOf(err) != transport.PermissionDenied {
		t.Errorf("Declare without a right = %v; want ErrRefused and permission-denied", err)
	}
	ended := b.Receive(t.Context(), transport.Route{Channel: closed}, func(*transport.Delivery) {})
	if transport.CodeOf(ended) != transport.PermissionDenied {
		t.Errorf("Receive without a right = %v; want permission-denied", ended)
	}
	readable := transport.Channel{Address: "open-to-read.one", Pattern: transport.Topic}
	for _, broker := range []*rabbitmq.Broker{all, b} {
		if err := broker.Declare(t.Context(), []transport.Channel{readable}); err != nil && broker == all {
			t.Fatalf("Declare = %v; want nil", err)
		}
	}
	other := channel(t, b, transport.Queue, 0)
	for n := range 3 { // of the first nobody knows whether the right was there when it came
		err := b.Send(t.Context(), []*transport.Envelope{envelope(readable, 1)})[0].Err
		if err == nil || errors.Is(err, transport.ErrNotSent) || errors.Is(err, transport.ErrRefused) != (n > 0) {
			t.Errorf("Send %d without a right = %v; want unknown at first, then ErrRefused", n, err)
		}
	}
	deadline := time.Now().Add(patience)
	for {
		err := b.Send(t.Context(), []*transport.Envelope{envelope(other, 2)})[0].Err
		if err == nil {
			return
		}
		if !errors.Is(err, transport.ErrNotSent) || time.Now().After(deadline) {
			t.Fatalf("Send elsewhere = %v; want it stored once the channel is back", err)
		}
	}
}

func foreignQueue(t *testing.T, s *servers.Server) {
	raw := dial(t, s)
	if _, err := raw.QueueDeclare("parley.foreign.queue", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	b := open(t, s.URL)
	err := b.Declare(t.Context(), []transport.Channel{{Address: "foreign.queue", Pattern: transport.Queue}})
	if !errors.Is(err, transport.ErrRefused) || transport.CodeOf(err) != transport.FailedPrecondition || !strings.Contains(err.Error(), "x-queue-type") {
		t.Errorf("Declare over a classic queue = %v; want ErrRefused, failed-precondition and x-queue-type", err)
	}
}

// dial is a client of somebody else.
func dial(t *testing.T, s *servers.Server) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func strangersMessage(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	for _, p := range []transport.Pattern{transport.Queue, transport.Stream} {
		c := channel(t, b, p, 2)
		x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: map[transport.Pattern]string{transport.Stream: "g"}[p]})
		err := dial(t, s).PublishWithContext(t.Context(), "", "parley."+c.Address+":1", false, false, amqp.Publishing{Body: []byte("hello")})
		if err != nil {
			t.Fatal(err)
		}
		d := x.Next()
		if why := d.Envelope.Headers[transport.Malformed]; !strings.Contains(why, "specversion") || string(d.Envelope.Body) != "hello" {
			t.Errorf("%v: delivered %+v; want the body as it came and why it is no event", p, d.Envelope)
		}
		if err := d.Envelope.Validate(); err != nil {
			t.Errorf("%v: the envelope of a stranger's message: %v; want one that can go to dead letters", p, err)
		}
		d.Settle(transport.Done)
		x.Stop()
	}
}

func officialSDK(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Queue, 0)
	raw := dial(t, s)
	sent := envelope(c, 1)
	sent.Headers, sent.ContentType = map[string]string{"tenant": "Grüße"}, "application/json"
	if r := b.Send(t.Context(), []*transport.Envelope{sent}); r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	d, ok, err := raw.Get("parley."+c.Address, true)
	if err != nil || !ok {
		t.Fatalf("Get = %v, %v; want the message", ok, err)
	}
	e := event.New()
	e.SetID(d.Headers["cloudEvents:id"].(string))
	e.SetSource(d.Headers["cloudEvents:source"].(string))
	e.SetType(d.Headers["cloudEvents:type"].(string))
	e.SetSubject(d.Headers["cloudEvents:subject"].(string))
	e.SetExtension("tenant", d.Headers["cloudEvents:tenant"])
	if err := errors.Join(e.SetData(d.ContentType, d.Body), e.Validate()); err != nil || d.Headers["cloudEvents:specversion"] != e.SpecVersion() {
		t.Errorf("the SDK reads %v as %v; want a valid event", d.Headers, err)
	}
	structured, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	for _, p := range []amqp.Publishing{
		{ContentType: "application/cloudevents+json; charset=utf-8", Body: structured},
		{ContentType: d.ContentType, Body: d.Body, Headers: amqp.Table{
			"cloudEvents_id": e.ID(), "cloudEvents_source": e.Source(), "cloudEvents_type": e.Type(), "cloudEvents_subject": e.Subject(),
			"cloudEvents_specversion": "1.0", "cloudEvents_tenant": "Grüße",
		}},
	} {
		if err := raw.PublishWithContext(t.Context(), "parley."+c.Address, "0", false, false, p); err != nil {
			t.Fatal(err)
		}
		got := x.Next()
		for _, what := range transporttest.Differences(sent, got.Envelope) {
			t.Errorf("%s: %s", p.ContentType, what)
		}
		got.Settle(transport.Done)
	}
	x.Stop()
}

func removedGroup(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	for _, p := range []transport.Pattern{transport.Topic, transport.Stream} {
		c := channel(t, b, p, 0)
		x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
		send(t, b, c, 0, 3)
		x.Done(3)
		if err := b.RemoveGroup(t.Context(), c, "g"); err != nil {
			t.Fatalf("RemoveGroup = %v; want nil", err)
		}
		if err := x.End(); !errors.Is(err, transport.ErrNotFound) {
			t.Errorf("%v: Receive = %v; want ErrNotFound", p, err)
		}
		if _, _, err := b.Backlog(t.Context(), c, "g"); !errors.Is(err, transport.ErrNotFound) {
			t.Errorf("%v: Backlog = %v; want ErrNotFound", p, err)
		}
		if err := b.RemoveGroup(t.Context(), c, "g"); err != nil {
			t.Errorf("%v: RemoveGroup again = %v; want nil", p, err)
		}
	}
}

func pausedReceiver(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Queue, 0)
	credit := transport.NewCredit(5)
	paused := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Credit: credit})
	send(t, b, c, 0, 20)
	held := paused.Next()
	var returned []*transport.Delivery
	for range 4 {
		returned = append(returned, paused.Next())
	}
	credit.Set(0) // before they are returned, else they might come to it again
	for _, d := range returned {
		d.Settle(transport.Return)
	}
	other := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	seen := map[string]bool{held.Envelope.ID: true}
	for len(seen) < 20 {
		seen[other.Done(1)[0]] = true
	}
	credit.Set(5)
	other.Stop()
	held.Settle(transport.Done)
	send(t, b, c, 20, 21)
	if got := paused.Done(1)[0]; got != "id-20" {
		t.Errorf("after the pause got %s; want id-20, as others have handled what was returned", got)
	}
	paused.Stop()
}

func partitionsAreShared(t *testing.T, s *servers.Server) {
	one, two := open(t, s.URL), open(t, s.URL)
	for _, p := range []transport.Pattern{transport.Queue, transport.Stream} {
		c := channel(t, one, p, 4)
		route := transport.Route{Channel: c, Group: map[transport.Pattern]string{transport.Stream: "g"}[p]}
		a, b := transporttest.StartReceiving(t, one, route), transporttest.StartReceiving(t, two, route)
		owned, deadline := make(map[int]bool), time.Now().Add(patience)
		for n := 0; len(owned) < 2; n += 50 {
			if time.Now().After(deadline) {
				t.Fatalf("%v: who joined has partitions %v; want two", p, owned)
			}
			send(t, one, c, n, n+50)
			for range 50 {
				select {
				case d := <-a.Got:
					d.Settle(transport.Done)
				case d := <-b.Got:
					owned[d.Partition] = true
					d.Settle(transport.Done)
				case <-time.After(patience):
					t.Fatalf("%v: no delivery came", p)
				}
			}
		}
		a.Drop()
		b.Drop()
	}
}

func silentServer(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Queue, 0)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	const limit, overrun = 500 * time.Millisecond, 2 * time.Second // the latter is what a busy machine may add
	sent := 0
	for began := time.Now(); time.Since(began) < 10*time.Second; sent++ { // longer than three missed heartbeats
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		err := b.Send(ctx, []*transport.Envelope{envelope(c, sent)})[0].Err
		other := b.Declare(ctx, []transport.Channel{{Address: "never.declared", Pattern: transport.Queue}})
		deadline, _ := ctx.Deadline()
		cancel()
		if err == nil || other == nil || time.Since(deadline) > overrun {
			t.Errorf("Send = %v and Declare = %v, %v after their deadline; want errors, soon", err, other, time.Since(deadline))
		}
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	thawed := time.Now()
	for n := sent; ; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := b.Send(ctx, []*transport.Envelope{envelope(c, n)})[0].Err
		cancel()
		if err == nil {
			for x.Done(1)[0] != fmt.Sprintf("id-%d", n) { // first, perhaps, what was unknown
			}
			break
		}
		if time.Since(thawed) > 10*time.Second {
			t.Fatalf("Send %v after the server came back = %v; want it stored", time.Since(thawed), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	x.Stop()
}

func slowHandler(t *testing.T, s *servers.Server) {
	for _, setting := range []string{"consumer_timeout, 2000", "channel_tick_interval, 500"} { // the last one has no other place
		if out, err := s.Rabbitmqctl(t.Context(), "eval", "application:set_env(rabbit, "+setting+")."); err != nil {
			t.Fatalf("rabbitmqctl: %v: %s", err, out)
		}
	}
	b := open(t, s.URL)
	for _, partitions := range []int{0, 2} {
		c := channel(t, b, transport.Queue, partitions)
		x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
		send(t, b, c, 0, 1)
		slow := x.Next()
		again := x.Next() // the server gives it out once more
		if again.Envelope.ID != slow.Envelope.ID {
			t.Errorf("got %s; want %s again", again.Envelope.ID, slow.Envelope.ID)
		}
		if partitions > 0 && slow.Valid() {
			t.Error("Valid of a delivery that was given out again = true; want false")
		}
		slow.Settle(transport.Done)
		again.Settle(transport.Done)
		send(t, b, c, 1, 2)
		if got := x.Done(1)[0]; got != "id-1" {
			t.Errorf("got %s; want id-1", got)
		}
		x.Stop()
	}
}
