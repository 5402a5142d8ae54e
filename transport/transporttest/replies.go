package transporttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/parley-io/parley/transport"
)

func repliesCross(ctx context.Context, s *Scene, p Peers) {
	server, user, address := p.connect(ctx, s), p.connect(ctx, s), s.Address()
	const path = "/conform/v1/work/7:a%20b"
	replies := []transport.Reply{
		{},
		{Status: 202, Location: path, RetryAfter: 2 * time.Second, ETag: "7-a/b", Applied: "respond-async, wait=20"},
		{Status: 201, Location: "https://elsewhere.example/work/7?a=b"},
		{Location: path, ETag: "8"},
		{RetryAfter: transport.MaxRetryAfter},
		{Status: 299, Applied: "wait=1"},
	}
	var answers []*transport.Envelope
	for _, r := range replies {
		for _, headers := range []map[string]string{nil, {"tenant": "a"}} {
			e := &transport.Envelope{Headers: maps.Clone(headers), Body: []byte("{}")}
			r.Set(e)
			answers = append(answers, e)
		}
	}
	for _, r := range []transport.Reply{{Status: 202, Location: path}, {Status: 304, ETag: "7"}} { // without a body
		e := &transport.Envelope{}
		r.Set(e)
		answers = append(answers, e)
	}
	invalid := []*transport.Envelope{
		{Headers: map[string]string{transport.HeaderStatus: "500"}},
		{Headers: map[string]string{transport.HeaderStatus: "304"}, Body: []byte("{}")},
		{Headers: map[string]string{transport.HeaderLocation: "//elsewhere"}},
		{Headers: map[string]string{transport.HeaderRetryAfter: "soon"}},
		{Headers: map[string]string{transport.HeaderETag: `"7"`}},
		{Headers: map[string]string{transport.HeaderPreferenceApplied: "ü"}},
	}
	all := slices.Concat(answers, invalid)
	asks := map[string]string{transport.HeaderPrefer: "respond-async, wait=20", transport.HeaderIfNoneMatch: `W/"7", "8"`}
	a := s.answer(ctx, server, map[string]answer{address: func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		if !maps.Equal(e.Headers, asks) {
			s.Errorf("the handler got headers %q; want %q", e.Headers, asks)
		}
		var i int
		if _, err := fmt.Sscanf(e.ID, "reply-%d", &i); err != nil {
			return nil, err
		}
		return all[i], nil
	}})
	ask := func(i int) (*transport.Envelope, error) {
		return user.Request(ctx, a.peer, &transport.Envelope{
			ID: fmt.Sprintf("reply-%d", i), Source: "conform", Address: address, Time: time.Now(), Headers: maps.Clone(asks),
		})
	}
	for i, want := range answers {
		got, err := ask(i)
		if err != nil {
			s.Errorf("an answer with headers %q: got %v; want it", want.Headers, err)
		} else if !maps.Equal(got.Headers, want.Headers) || string(got.Body) != string(want.Body) {
			s.Errorf("got an answer with headers %q, body %q; want %q, %q", got.Headers, got.Body, want.Headers, want.Body)
		}
	}
	for i, bad := range invalid {
		_, err := ask(len(answers) + i)
		what := fmt.Sprintf("an answer with headers %q", bad.Headers)
		s.notSent(what, s.failed(what, err, transport.Internal), false)
	}
}
