package mem_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestARepetitionInTheWindowIsStoredOnceAndGetsTheFirstReceipt(t *testing.T) {
	bubble(t, func(r *rig) {
		in := r.handle(r.client, transport.Route{Channel: history, Group: "g"})
		first := r.send(history.Address, "a")[0]
		time.Sleep(2*minute - 1)
		if again := r.send(history.Address, "a")[0]; again != first {
			r.Errorf("receipt of the repetition = %+v, want the first one's %+v", again, first)
		}
		in.want("a")
		r.sendAll(&transport.Envelope{ID: "a", Copy: "r1", Address: history.Address})
		in.want("a") // another Copy is never swallowed
		time.Sleep(time.Nanosecond)
		r.send(history.Address, "a")
		in.want("a") // the window is over
	})
	bubble(t, func(r *rig) {
		in := r.handle(r.client, transport.Route{Channel: jobs})
		r.send(jobs.Address, "a", "a")
		in.want("a", "a")
	}, mem.WithDedupe(0))
}

func TestSendSaysWhatAFailureMeansForRepeating(t *testing.T) {
	bubble(t, func(r *rig) {
		done, cancel := context.WithCancel(r.Context())
		cancel()
		closed := r.fabric.Process("closed")
		if err := closed.Broker().Close(r.Context()); err != nil {
			r.Errorf("Close = %v, want nil", err)
		}
		big := strings.Repeat("x", 100)
		for name, c := range map[string]struct {
			ctx      context.Context
			process  *mem.Process
			envelope transport.Envelope
			is       []error
		}{
			"undeclared": {r.Context(), r.client, transport.Envelope{ID: "a", Address: "no.such"}, []error{transport.ErrRefused}},
			"invalid":    {r.Context(), r.client, transport.Envelope{Address: jobs.Address}, []error{transport.ErrRefused}},
			"oversized":  {r.Context(), r.client, transport.Envelope{ID: "a", Address: jobs.Address, Body: []byte(big)}, []error{transport.ErrRefused}},
			"cancelled":  {done, r.client, transport.Envelope{ID: "a", Address: jobs.Address}, []error{transport.ErrNotSent, context.Canceled}},
			"closed":     {r.Context(), closed, transport.Envelope{ID: "a", Address: jobs.Address}, []error{transport.ErrNotSent, transport.ErrClosed}},
		} {
			err := c.process.Broker().Send(c.ctx, []*transport.Envelope{&c.envelope})[0].Err
			for _, want := range c.is {
				if !errors.Is(err, want) {
					r.Errorf("%s: Send = %v, want it to wrap %q", name, err, want)
				}
			}
		}
		r.handle(r.client, transport.Route{Channel: jobs}).want()
	}, mem.WithMaxBytes(99))
}

func TestWhatIsStoredAndReceivedIsACopy(t *testing.T) {
	bubble(t, func(r *rig) {
		one := r.hold(r.client, transport.Route{Channel: placed, Group: "one"})
		two := r.hold(r.client, transport.Route{Channel: placed, Group: "two"})
		e := &transport.Envelope{ID: "a", Address: placed.Address, Body: []byte("body"), Headers: map[string]string{"k": "v"}}
		r.sendAll(e)
		e.Body[0], e.Headers["k"], e.ID = 'X', "changed", "changed"
		d := one.deliveries()[0]
		d.Envelope.Body[1], d.Envelope.Headers["k"] = 'Y', "changed"
		got := two.deliveries()[0].Envelope
		if got.ID != "a" || string(got.Body) != "body" || got.Headers["k"] != "v" {
			r.Errorf("received %+v, want what was sent", got)
		}
		d.Settle(transport.Return)
		if again := one.deliveries()[0].Envelope; string(again.Body) != "body" {
			r.Errorf("body delivered again = %q, want body", again.Body)
		}
	})
}
