package parley_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parley-io/parley"
)

func TestAContractIsFoundAndUsedWithoutItsGoCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		handled := make(chan order, 1)
		w.serve(w.client("cafe"),
			getPrice.Handle(func(context.Context, item) (price, error) { return price{Cents: 250}, nil }),
			brew.Handle(func(_ context.Context, o order) error { handled <- o; return nil }),
		)
		guest := w.client("guest")
		call, err := parley.Lookup(t.Context(), guest, "cafe.v1.get-price")
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := call.Call(t.Context(), guest, []byte(`{"name":"tea"}`)); err != nil || string(answer) != `{"cents":250}` {
			t.Errorf("Call = %s, %v; want 250 cents", answer, err)
		}
		if _, err := call.Call(t.Context(), guest, []byte(`{"name":7}`)); parley.CodeOf(err) != parley.InvalidArgument {
			t.Errorf("Call with a wrong type = %v; want InvalidArgument", err)
		}
		command, err := parley.Lookup(t.Context(), guest, "cafe.v1.brew")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := command.Send(t.Context(), guest, "", []byte(`{"table":"1","drink":"tea"}`)); err == nil || !strings.Contains(err.Error(), "a key is needed") {
			t.Errorf("Send without a key = %v; want an error that asks for it", err)
		}
		if _, err := command.Send(t.Context(), guest, "1", []byte(`{"table":"1","drink":"tea"}`)); err != nil {
			t.Errorf("Send = %v", err)
		}
		if o := <-handled; o.Drink != "tea" {
			t.Errorf("handled %+v; want tea", o)
		}
	})
}

func TestAnEventIsFoundAtItsPublisherAlsoWhileNobodySubscribes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serve(w.client("cafe"), getPrice.Handle(func(context.Context, item) (price, error) { return price{}, nil }))
		guest := w.client("guest")
		event, err := parley.Lookup(t.Context(), guest, "cafe.v1.sold")
		if err != nil || event.Pattern != "stream" || event.Service != "cafe" {
			t.Fatalf("Lookup = %+v, %v; want the stream of cafe", event, err)
		}
		if _, err := event.Send(t.Context(), guest, "", []byte(`{"table":"1","drink":"tea"}`)); err != nil {
			t.Errorf("Send = %v", err)
		}
	})
}

func TestAnAddressThatNobodyAnnouncedIsRefusedWithWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serve(w.client("cafe"), getPrice.Handle(func(context.Context, item) (price, error) { return price{}, nil }))
		_, err := parley.Lookup(t.Context(), w.client("guest"), "cafe.v1.get-prize")
		e, ok := errors.AsType[*parley.Error](err)
		if !ok || e.Code != parley.NotFound || !strings.Contains(e.Message, "cafe.v1.get-price") {
			t.Errorf("Lookup = %v; want NotFound that names cafe.v1.get-price", err)
		}
	})
}
