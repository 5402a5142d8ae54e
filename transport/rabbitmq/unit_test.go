package rabbitmq

import (
	"errors"
	"io"
	"math/bits"
	"net"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"pgregory.net/rapid"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/cloudevents"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestAcknowledgementsCoverExactlyWhatIsHandled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a acks
		const n = 40
		server := make(map[uint64]bool) // what it still waits for
		handledTags, rejected := make(map[uint64]bool), make(map[uint64]bool)
		for tag := uint64(1); tag <= n; tag++ {
			server[tag] = true
		}
		for _, tag := range rapid.Permutation(tagsTo(n)).Draw(t, "order") {
			if rapid.IntRange(0, 4).Draw(t, "what") == 0 {
				a.tell(tag)
				delete(server, tag)
				rejected[tag] = true
			} else {
				a.handle(tag)
				handledTags[tag] = true
			}
			if upTo := a.prefix(); upTo > 0 {
				if !server[upTo] {
					t.Fatalf("prefix = %d; want a tag that the server waits for", upTo)
				}
				for tag := uint64(1); tag <= upTo; tag++ {
					if server[tag] && !handledTags[tag] {
						t.Fatalf("prefix = %d; want less, as %d is open", upTo, tag)
					}
					delete(server, tag)
				}
			}
			if rapid.IntRange(0, 9).Draw(t, "late") == 0 {
				for _, tag := range a.stragglers() {
					if !server[tag] || !handledTags[tag] {
						t.Fatalf("stragglers have %d; want what is handled and not told", tag)
					}
					delete(server, tag)
				}
			}
		}
		if len(server) > 0 || len(a.states) > 0 || a.ahead != 0 {
			t.Fatalf("left at the server: %v, here: %+v; want nothing", server, a)
		}
	})
}

func tagsTo(n uint64) (tags []uint64) {
	for tag := uint64(1); tag <= n; tag++ {
		tags = append(tags, tag)
	}
	return tags
}

func TestTheLadderWaitsNeverTooShortAndHardlyTooLong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.OneOf(rapid.Int64Range(1, int64(MaxDelay)), rapid.Int64Range(1, int64(4*slack))).Draw(t, "delay"))
		n, rest := split(d)
		top, words := climb(n)
		waited := rest
		for i, word := range strings.Split(strings.TrimSuffix(words, "."), ".") {
			if k := levels - 1 - i; word == "1" {
				if k > top {
					t.Fatalf("a message of %v enters at level %d; want above %d", d, top, k)
				}
				waited += delayUnit << k
			}
		}
		if waited != d {
			t.Fatalf("a message of %v waits %v; want that", d, waited)
		}
		if rest <= 0 || rest > 2*slack || n > 0 && rest < slack {
			t.Fatalf("a message of %v leaves the ladder when %v is left; want %v to %v", d, rest, slack, 2*slack)
		}
		if k := nearFor(rest); rest > nearLimit(k) || k > 0 && rest <= nearLimit(k-1) {
			t.Fatalf("a rest of %v is waited for in queue %d, of up to %v; want the first that takes it", rest, k, nearLimit(k))
		}
	})
	if longest := (delayUnit << (levels - 1)).Milliseconds(); bits.Len64(uint64(longest)) > 32 {
		t.Errorf("the longest level = %d ms; want what the server takes, less than 2^32", longest)
	}
}

func TestNamesFitAndStayApart(t *testing.T) {
	n := names{strings.Repeat("p", 32)}
	long := strings.Repeat("a", transport.MaxAddress-1)
	seen := make(map[string]string)
	for _, address := range []string{"a", "a.b", long + "x", long + "y"} {
		for _, group := range []string{"", "b", "members", long + "g", long + "h"} {
			for _, p := range []int{-1, 0, 255} {
				name := n.queue(address, group, p)
				what := strings.Join([]string{address, group, string(rune('a' + p))}, "|")
				if other, twice := seen[name]; twice {
					t.Errorf("queue %q is that of %q and of %q; want one each", name, other, what)
				}
				seen[name] = what
				c := transport.Channel{Address: address, Pattern: transport.Topic}
				if len(n.seen(address, group, p)) > maxShort || len(n.target(c, p, group)) > maxShort || len(n.exchange(address)) > maxShort {
					t.Errorf("names of %q, group %q are longer than %d bytes", address, group, maxShort)
				}
			}
		}
	}
}

func TestAFairShareLeavesNobodyWithoutAndNoPartitionOver(t *testing.T) {
	for _, c := range []struct{ partitions, members, want int }{{8, 0, 8}, {8, 1, 8}, {8, 2, 4}, {8, 3, 3}, {8, 8, 1}, {8, 20, 1}} {
		if got := fairShare(c.partitions, c.members); got != c.want {
			t.Errorf("fairShare(%d, %d) = %d; want %d", c.partitions, c.members, got, c.want)
		}
	}
}

func TestOfTwoPositionsTheOneThatLosesNothingIsBelieved(t *testing.T) {
	at := func(n int64) mark { return mark{kind: markAt, n: n} }
	for _, c := range []struct {
		m, o mark
		want bool
	}{
		{at(2), at(1), true},
		{at(1), at(2), false},
		{at(0), mark{kind: markNew, n: 9}, true},
		{mark{kind: markFrom, n: 9}, at(0), false},
		{mark{kind: markNew, n: 1}, mark{kind: markNew, n: 2}, true},
		{mark{kind: markNew, n: 2}, mark{kind: markNew, n: 1}, false},
	} {
		if got := c.m.newer(c.o); got != c.want {
			t.Errorf("%v newer than %v = %v; want %v", c.m, c.o, got, c.want)
		}
	}
	for _, m := range []mark{at(7), {kind: markFrom, n: 5}, {kind: markNew, n: 3}, {kind: markAt, n: 3, sent: 4}} {
		if got, err := parseMark(m.String()); err != nil || got != m {
			t.Errorf("parseMark(%q) = %v, %v; want %v", m, got, err, m)
		}
	}
	for _, bad := range []string{"", "at", "at x", "at -1", "to 1", "at 1 2 3", "at 1 x"} {
		if m, err := parseMark(bad); err == nil {
			t.Errorf("parseMark(%q) = %v; want an error", bad, m)
		}
	}
}

func TestURLsNameServersAndNeverThePassword(t *testing.T) {
	servers, err := parseURL("amqps://me:s%2Fcret@one:1,two:2/my%2Fvhost")
	if err != nil || len(servers) != 2 || servers[1].vhost != "my/vhost" || servers[1].user != "me" || !servers[0].secure {
		t.Fatalf("parseURL = %+v, %v; want two servers of virtual host my/vhost", servers, err)
	}
	if s, err := parseURL("amqp://h"); err != nil || s[0].vhost != "/" || s[0].user != "guest" {
		t.Errorf("parseURL of a bare host = %+v, %v; want virtual host / and user guest", s, err)
	}
	for _, bad := range []string{
		"", "http://me:s3cret@h", "amqp://me:s3cret@", "amqp://me:s3cret@h/v?heartbeat=0", "amqp://me:s3cret@h:port/v",
		"amqp://me:s3cret%zz@h/v", "amqp://me:s3cret@h,,k/v", "amqp://me:12/s3cret@h/v", "amqp://me:12?s3cret@h/v", "amqp://me:1#s3cret@h",
	} {
		_, err := parseURL(bad)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("parseURL(%q) = %v; want an error without the password", bad, err)
		}
	}
	o := Options{URL: "amqp://h", Prefix: "No Prefix"}
	if _, err := o.check(); err == nil {
		t.Error("check of an impossible prefix = nil; want an error")
	}
}

func FuzzWhatComesIsReadOrSaidToBeMalformed(f *testing.F) {
	f.Add("text/plain", "1.0", "id", "a.b", "key", []byte("x"))
	f.Add(cloudevents.Structured, "", "", "", "", []byte(`{"specversion":"1.0","id":"1","source":"s","type":"a.b","data":"text"}`))
	f.Fuzz(func(t *testing.T, contentType, version, id, kind, subject string, body []byte) {
		var headers table
		headers.putText("cloudEvents:", "specversion", version)
		headers.putText("cloudEvents_", "id", id)
		headers.putText("cloudEvents:", "type", kind)
		headers.putText("cloudEvents:", "subject", subject)
		headers.putText("cloudEvents:", "source", "s")
		headers.putNumber("other", 1)
		d := &delivery{properties: properties{contentType: contentType, headers: fields(headers)}, body: body}
		e := decode("a.b", func() string { return "place" }, d)
		if err := e.Validate(); err != nil {
			t.Errorf("decode = an envelope with %v; want a valid one", err)
		}
		if e.Address != "a.b" {
			t.Errorf("decode = address %q; want a.b", e.Address)
		}
	})
}

func TestAnEnvelopeIsReadAsItWasWritten(t *testing.T) {
	e := &transport.Envelope{
		ID: "1", Source: "s", Address: "a.b", Key: "Grüße 100%", ContentType: "text/plain", Copy: "a2", Group: "g", Attempt: 2,
		Lifetime: time.Minute, Time: time.Unix(1, 2), NotBefore: time.Unix(3, 4), Trace: "t", Correlation: "c", Causation: "d",
		Headers: map[string]string{"h": "", "k": " v "}, Body: []byte{0, 255},
	}
	m, err := encode(e)
	if err != nil {
		t.Fatalf("encode = %v; want nil", err)
	}
	got := decode("a.b", nil, &delivery{properties: properties{contentType: m.contentType, headers: fields(m.headers)}, body: m.body})
	for _, what := range transporttest.Differences(e, got) {
		t.Error(what)
	}
	e.Headers = make(map[string]string)
	for i := range 14 {
		e.Headers[strings.Repeat("h", i+1)] = strings.Repeat("x", transport.MaxHeaderBytes)
	}
	if _, err := encode(e); !errors.Is(err, transport.ErrRefused) {
		t.Errorf("encode of 112 KiB of attributes = %v; want ErrRefused", err)
	}
}

func TestWhatIsWrittenGathersAndIsAllWritten(t *testing.T) {
	near, far := net.Pipe()
	g := newGather(near)
	written := 0
	for g.full() == nil { // nobody reads yet: the first is on its way, the rest waits
		n, err := g.Write(make([]byte, 1024))
		if err != nil {
			t.Fatalf("Write = %v; want nil", err)
		}
		written += n
	}
	room := g.full()
	if _, err := io.ReadFull(far, make([]byte, written)); err != nil {
		t.Errorf("reading = %v; want all that was written", err)
	}
	<-room
	if err := g.Close(); err != nil {
		t.Errorf("Close = %v; want nil", err)
	}
	if _, err := g.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write after Close = %v; want net.ErrClosed", err)
	}
}

func TestAServerThatIsTooOldIsRefused(t *testing.T) {
	for version, ok := range map[string]bool{"3.10.8": true, "4.1.0": true, "3.9.29": false, "": false} {
		err := checkVersion(amqp.Table{"product": "RabbitMQ", "version": version})
		if (err == nil) != ok || !ok && transport.CodeOf(err) != transport.FailedPrecondition {
			t.Errorf("checkVersion(%q) = %v; want accepted %v", version, err, ok)
		}
	}
}

func TestWhatIsSettledBehindOneThatRunsKeepsNoMessage(t *testing.T) {
	l := &lane{}
	at := &tenure{lane: l, prefetch: 3}
	var all []*entry
	for n := range int64(30) {
		e := &entry{tenure: at, message: &delivery{}, offset: n, sent: 100 + n}
		all, at.out = append(all, e), append(at.out, e)
	}
	out := at.out
	for _, e := range all[1:] {
		at.advance(e)
		if e.message != nil {
			t.Fatalf("entry %d keeps its message; want none", e.offset)
		}
	}
	if !at.farAhead() || l.position != (mark{}) {
		t.Errorf("with 29 settled behind the first: far ahead = %v, position = %v; want true, none", at.farAhead(), l.position)
	}
	at.waiting = []*entry{{tries: 1}}
	if at.farAhead() {
		t.Error("far ahead while one comes again = true; want false, as that is what the others wait for")
	}
	at.advance(all[0])
	if want := (mark{kind: markAt, n: 30, sent: 129}); l.position != want || at.farAhead() || out[29] != nil {
		t.Errorf("with all settled: position = %v, kept %v; want %v, nothing", l.position, out[29], want)
	}
}

func TestWhatTheServerRefusesForGoodIsToldFromWhatMayPass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err     error
		refused bool
	}{
		{&amqp.Error{Server: true, Code: amqp.PreconditionFailed, Reason: "inequivalent arg 'x-queue-type'"}, true},
		{&amqp.Error{Server: true, Code: amqp.PreconditionFailed, Reason: "queue 'a' in vhost '/' does not have a replica on the local node"}, false},
		{&amqp.Error{Server: true, Code: amqp.AccessRefused}, true},
		{&amqp.Error{Server: true, Code: amqp.NotFound}, false},
		{&amqp.Error{Server: true, Code: amqp.ResourceError}, false},
		{amqp.ErrClosed, false},
	} {
		err := refusal(c.err)
		if errors.Is(err, transport.ErrRefused) != c.refused || errors.Is(err, transport.ErrNotSent) == c.refused {
			t.Errorf("refusal(%v) = %v; want refused %v, and else not sent", c.err, err, c.refused)
		}
	}
}
