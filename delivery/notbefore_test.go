package delivery_test

import (
	"context"
	"testing"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestAMessageForInThirtyDaysComesThenAlsoAfterRestartsOfItsReceiver(t *testing.T) {
	for _, channel := range []transport.Channel{queue, keyed, topic} {
		t.Run(channel.Address, func(t *testing.T) {
			bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
				b := fabric.Process("first").Broker()
				var all calls
				s := delivery.Subscription{Channel: channel, Handle: func(_ context.Context, e *transport.Envelope) error {
					all.add(e)
					return nil
				}}
				if channel.Pattern == transport.Topic {
					s.Group = "mail"
				}
				c := start(t, b, rec, s)
				const month = 30 * 24 * time.Hour
				e := withKey(to(channel, "far"), "k")
				e.NotBefore, e.Lifetime = time.Now().Add(month), time.Minute // its life begins then
				send(t, b, e)
				time.Sleep(month / 2)
				if err := c.stop(); err != nil {
					t.Errorf("Run = %v; want nil", err)
				}
				start(t, b, rec, s)
				time.Sleep(month/2 - time.Second)
				if all.count() != 0 {
					t.Errorf("a second before its time: handled %v; want nothing", all.ids())
				}
				time.Sleep(2 * time.Second)
				if all.count() != 1 {
					t.Errorf("a second after its time: handled %v; want it once", all.ids())
				}
			})
		})
	}
}
