package policy

import (
	"context"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

// idle is a Caller that answers at once.
type idle struct{ transport.Caller }

var reply = &transport.Envelope{}

func (idle) Request(context.Context, string, *transport.Envelope) (*transport.Envelope, error) {
	return reply, nil
}

func BenchmarkDo(b *testing.B) {
	with, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for _, c := range []struct {
		name  string
		ctx   context.Context
		peers []string
	}{
		{"deadline given", with, []string{"a"}},
		{"deadline made", context.Background(), []string{"a"}},
		{"three instances", with, []string{"a", "b", "c"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			client, r := New(idle{}, &notes{}, Options{}), quote(c.peers...)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := client.Do(c.ctx, r); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkAdmission(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	answer := NewAdmission(AdmissionOptions{}).Wrap(func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) { return e, nil })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := answer(ctx, reply); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
