package mem_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestASenderThatDiesAtAPointDoesNotLearnTheOutcome(t *testing.T) {
	for point, stored := range map[mem.Point][]string{
		mem.BeforeStore:   {"a"},
		mem.BeforeConfirm: {"a", "b"},
	} {
		t.Run(string(point), func(t *testing.T) {
			bubble(t, func(r *rig) {
				p := r.fabric.Process("sender")
				p.CrashAt(point, 2)
				receipts := p.Broker().Send(r.Context(), []*transport.Envelope{
					{ID: "a", Address: jobs.Address}, {ID: "b", Address: jobs.Address}, {ID: "c", Address: jobs.Address},
				})
				<-p.Dead()
				if err := receipts[0].Err; err != nil {
					r.Errorf("first receipt = %v, want nil", err)
				}
				if err := receipts[1].Err; !errors.Is(err, transport.ErrClosed) || errors.Is(err, transport.ErrNotSent) || errors.Is(err, transport.ErrRefused) {
					r.Errorf("receipt at the crash = %v, want closed and an unknown outcome", err)
				}
				if err := receipts[2].Err; !errors.Is(err, transport.ErrNotSent) {
					r.Errorf("receipt after the crash = %v, want not sent", err)
				}
				r.handle(r.client, transport.Route{Channel: jobs}).want(stored...)
			})
		})
	}
}

func TestAReceiverThatDiesAtAPointLosesNothing(t *testing.T) {
	for point, c := range map[mem.Point]struct{ before, after []string }{
		mem.BeforeTake:   {[]string{"a"}, []string{"b", "c"}},
		mem.BeforeSettle: {[]string{"a", "b"}, []string{"b", "c"}},
		mem.AfterSettle:  {[]string{"a", "b"}, []string{"c"}},
	} {
		t.Run(string(point), func(t *testing.T) {
			bubble(t, func(r *rig) {
				p := r.fabric.Process("worker")
				p.CrashAt(point, 2)
				r.send(jobs.Address, "a", "b", "c")
				in := r.handle(p, transport.Route{Channel: jobs})
				in.want(c.before...)
				if err := in.result(); !errors.Is(err, transport.ErrClosed) {
					r.Errorf("Receive = %v, want an error that wraps closed", err)
				}
				again := r.fabric.Process("worker") // the name is free
				r.handle(again, transport.Route{Channel: jobs}).want(c.after...)
			})
		})
	}
}

func TestACrashCanBeTakenBack(t *testing.T) {
	bubble(t, func(r *rig) {
		r.client.CrashAt(mem.BeforeStore, 1)
		r.client.CrashAt(mem.BeforeStore, 0)
		r.send(jobs.Address, "a")
		if got := panicOf(func() { r.client.CrashAt("lunch", 1) }); got == nil {
			r.Error("CrashAt(lunch) did not panic, want it to name the point")
		}
		if got := panicOf(func() { r.fabric.Process("client") }); got == nil {
			r.Error("a second process of a running one's name did not panic")
		}
	})
}

func panicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestAKilledProcessReachesNothingAnyMore(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.fabric.Process("p")
		in := r.hold(p, transport.Route{Channel: placed, Group: "g"})
		r.send(placed.Address, "a")
		d := in.deliveries()[0]
		p.Kill()
		p.Kill()
		d.Settle(transport.Done)
		err := p.Broker().Send(r.Context(), []*transport.Envelope{{ID: "b", Address: placed.Address}})[0].Err
		if !errors.Is(err, transport.ErrNotSent) || !errors.Is(err, transport.ErrClosed) {
			r.Errorf("Send of a killed process = %v, want not sent and closed", err)
		}
		if err := p.Broker().Declare(r.Context(), nil); !errors.Is(err, transport.ErrClosed) {
			r.Errorf("Declare of a killed process = %v, want closed", err)
		}
		if err := r.hold(p, transport.Route{Channel: jobs}).result(); !errors.Is(err, transport.ErrClosed) {
			r.Errorf("Receive of a killed process = %v, want closed", err)
		}
		if err := p.Broker().Close(r.Context()); err != nil {
			r.Errorf("Close of a killed process = %v, want nil", err)
		}
		r.handle(r.client, transport.Route{Channel: placed, Group: "g"}).want("a")
		synctest.Wait()
	})
}
