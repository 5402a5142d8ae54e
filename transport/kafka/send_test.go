package kafka

import (
	"context"
	"errors"
	"testing"

	"github.com/parley-io/parley/transport"
)

func TestARepeatOfWhatIsAdriftWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	var a adrift
	e, redrive := &transport.Envelope{Address: "a.b", ID: "id"}, &transport.Envelope{Address: "a.b", ID: "id", Copy: "r1"}
	first := newCall(1)
	f := &flight{call: first}
	first.flights[0] = f
	if r := first.finish(&a, []*transport.Envelope{e}, context.DeadlineExceeded); !errors.Is(r[0].Err, errOpen) || !errors.Is(r[0].Err, context.DeadlineExceeded) {
		t.Errorf("receipt of what is not known in time = %v; want it left open", r[0].Err)
	}
	again, other := newCall(1), newCall(1)
	if !a.join(&flight{call: again}, e) {
		t.Fatal("join = false for a repeat; want true")
	}
	if a.join(&flight{call: other}, redrive) {
		t.Error("join = true for another copy; want false")
	}
	given := newCall(1) // up, like those before it
	a.join(&flight{call: given}, e)
	given.finish(&a, []*transport.Envelope{e}, context.Canceled)
	a.join(&flight{call: newCall(1)}, e)
	if n := len(f.twins); n != 2 {
		t.Errorf("%d repeats are kept; want 2, those that wait", n)
	}
	a.land(f, transport.Receipt{Position: "0:7"})
	<-again.known
	if r := again.finish(&a, []*transport.Envelope{e}, nil); r[0].Err != nil || r[0].Position != "0:7" {
		t.Errorf("receipt of the repeat = %+v; want that of the first", r[0])
	}
	if a.join(&flight{call: newCall(1)}, e) {
		t.Error("join = true once the first has landed; want false")
	}
}
