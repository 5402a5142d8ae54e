package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
)

// Differences are the fields in which a received envelope is not what was sent. What a driver may
// fill in is no difference: an empty Source, ContentType or Attempt.
func Differences(sent, got *transport.Envelope) (diffs []string) {
	differ := func(name string, got, want any) {
		diffs = append(diffs, fmt.Sprintf("got %s %.100q; want %.100q", name, fmt.Sprint(got), fmt.Sprint(want)))
	}
	text := func(name, got, want, filled string) {
		if got != want && (want != "" || got != filled) {
			differ(name, got, want)
		}
	}
	text("ID", got.ID, sent.ID, "")
	text("Source", got.Source, sent.Source, "unknown")
	text("Address", got.Address, sent.Address, "")
	text("Key", got.Key, sent.Key, "")
	text("ContentType", got.ContentType, sent.ContentType, "application/json")
	text("Copy", got.Copy, sent.Copy, "")
	text("Group", got.Group, sent.Group, "")
	text("Correlation", got.Correlation, sent.Correlation, "")
	text("Causation", got.Causation, sent.Causation, "")
	text("Trace", got.Trace, sent.Trace, "")
	if !got.Time.Equal(sent.Time) {
		differ("Time", got.Time, sent.Time)
	}
	if !got.NotBefore.Equal(sent.NotBefore) {
		differ("NotBefore", got.NotBefore, sent.NotBefore)
	}
	if got.Lifetime.Truncate(time.Millisecond) != sent.Lifetime.Truncate(time.Millisecond) {
		differ("Lifetime", got.Lifetime, sent.Lifetime)
	}
	if max(got.Attempt, 1) != max(sent.Attempt, 1) {
		differ("Attempt", got.Attempt, sent.Attempt)
	}
	if len(got.Headers)+len(sent.Headers) > 0 && !maps.Equal(got.Headers, sent.Headers) {
		differ("Headers", got.Headers, sent.Headers)
	}
	if !bytes.Equal(got.Body, sent.Body) {
		differ("Body", fmt.Sprintf("%d bytes: %.40q", len(got.Body), got.Body), fmt.Sprintf("%d bytes: %.40q", len(sent.Body), sent.Body))
	}
	return diffs
}

// texts are values that some protocol, somewhere, alters.
func texts() []string {
	list := []string{"plain", "", " ", " leading", "trailing ", "two  spaces", "Grüße, 世界 🎉", "e\u0301 is not \u00e9", "\u202eright to left",
		"100%", "%41", "%zz", "a+b", `"quoted"`, `back\slash`, "semi;colon,comma=equals", "=?utf-8?q?a?=", "<tag>&amp;", "null", "0",
		strings.Repeat("x", transport.MaxHeaderBytes), strings.Repeat("世", transport.MaxHeaderBytes/3)}
	runes, random := []rune(" !\"%&'();:\\~aZ0äß€語🙂\u00a0\u2028"), rand.New(rand.NewPCG(43, 43)) // always the same texts
	for range 30 {
		var b strings.Builder
		for range 1 + random.IntN(20) {
			b.WriteRune(runes[random.IntN(len(runes))])
		}
		list = append(list, b.String())
	}
	return list
}

func headersUnharmed(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 2)
	var sent []*transport.Envelope
	add := func(change func(e *transport.Envelope)) {
		e := message(c, "header", "k", len(sent))
		change(e)
		sent = append(sent, e)
	}
	for _, v := range texts() {
		add(func(e *transport.Envelope) { e.Headers = map[string]string{"h": v, "other": "o"} })
		if len(v) <= transport.MaxKeyBytes {
			add(func(e *transport.Envelope) { e.Key = v })
			add(func(e *transport.Envelope) { e.Source, e.Correlation, e.Causation = v, v, v })
		}
	}
	add(func(e *transport.Envelope) {
		e.Headers = make(map[string]string)
		for i := range transport.MaxHeaders {
			e.Headers["h"+strconv.Itoa(i)] = strconv.Itoa(i)
		}
	})
	add(func(e *transport.Envelope) {
		e.Lifetime, e.Attempt, e.Copy = 90*time.Minute+time.Millisecond, 7, "r2"
		e.Time = time.Date(2001, 2, 3, 4, 5, 6, 7, time.FixedZone("", 3*3600))
		e.Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	})
	s.roundTrip(ctx, b, c, sent)

	log := newAccount()
	for i, spoil := range []func(*transport.Envelope){
		func(e *transport.Envelope) { e.Headers = map[string]string{"h": "a\r\nb: c"} },
		func(e *transport.Envelope) { e.Headers = map[string]string{"h": "a\nb"} },
		func(e *transport.Envelope) { e.Headers = map[string]string{"h": "\x00"} },
		func(e *transport.Envelope) { e.Headers = map[string]string{"h": "\xff"} },
		func(e *transport.Envelope) { e.Headers = map[string]string{"Mixed": "case"} },
		func(e *transport.Envelope) { e.Headers = map[string]string{"": "no name"} },
		func(e *transport.Envelope) { e.Headers = map[string]string{"a b": "space"} },
		func(e *transport.Envelope) { e.Headers = map[string]string{"id": "forged"} },
		func(e *transport.Envelope) {
			e.Headers = map[string]string{"h": strings.Repeat("x", transport.MaxHeaderBytes+1)}
		},
		func(e *transport.Envelope) { e.Key = "line\nbreak" },
		func(e *transport.Envelope) { e.Source = "line\rbreak" },
		func(e *transport.Envelope) { e.ID = "white space" },
	} {
		e := message(c, "bad", "k", i)
		spoil(e)
		if r := log.send(ctx, s, b, e)[0]; !errors.Is(r.Err, transport.ErrRefused) {
			s.Errorf("receipt of a message that cannot be carried unharmed (key %q, id %q, source %q, headers %.60q) = %v; want ErrRefused",
				e.Key, e.ID, e.Source, e.Headers, r.Err)
		}
	}
	log.mustSend(ctx, s, b, message(c, "last", "k", 0))
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{})
}

func traceSurvives(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Topic, 0)
	original := message(c, "trace", "k", 0)
	original.Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	original.Headers = map[string]string{
		"tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
		"baggage":    "userId=Am%C3%A9lie,serverNode=DF%2028;prop=1",
	}
	again, later := *original, *original
	again.Group, again.Copy = "g", "a2"
	later.Group, later.Copy, later.NotBefore = "g", "a3", time.Now().Add(100*time.Millisecond)
	want := map[string]*transport.Envelope{"": original, "a2": &again, "a3": &later}
	if b.Features().Delay == 0 {
		delete(want, "a3")
	}
	log := newAccount()
	returned := make(map[string]bool)
	s.receive(ctx, b, transport.Route{Channel: c, Group: "g", Credit: transport.NewCredit(1)}, func(d *transport.Delivery) {
		if e := want[d.Envelope.Copy]; e != nil {
			for _, what := range Differences(e, d.Envelope) {
				s.Errorf("copy %q: %s", e.Copy, what)
			}
		}
		if first := !returned[d.Envelope.Copy]; first { // takes never overlap at credit 1
			returned[d.Envelope.Copy] = true
			d.Settle(transport.Return)
			return
		}
		log.take("g")(d)
	})
	for _, e := range want {
		log.mustSend(ctx, s, b, e)
	}
	log.settled(ctx, "g")
	log.verify(s, "g", faults{Unordered: true})
}
