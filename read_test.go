package parley_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport"
)

// publishOrders publishes orders of these tables, a second after each other.
func publishOrders(t *testing.T, c *parley.Client, tables ...string) {
	t.Helper()
	for _, table := range tables {
		if _, err := sold.Publish(t.Context(), c, order{Table: table, Drink: "tea"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
}

// read is everything that a Read gives, and its error.
func read(ctx context.Context, c *parley.Client, options ...parley.ReadOption) (tables []string, err error) {
	for k, err := range sold.Read(ctx, c, options...) {
		if err != nil {
			return tables, err
		}
		tables = append(tables, k.Event.Table)
	}
	return tables, nil
}

func TestARangeOfAStreamIsReadWithoutAGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.client("waiter")
		publishOrders(t, c, "1", "2")
		third := time.Now()
		publishOrders(t, c, "3")
		fourth := time.Now()
		publishOrders(t, c, "4")
		var places []transport.Position
		for k, err := range sold.Read(t.Context(), c, parley.UntilTime(time.Now())) {
			if err != nil {
				t.Fatal(err)
			}
			if k.ID == "" || k.Source != "waiter" || k.Accepted.IsZero() {
				t.Errorf("the event of table %s came as %+v of %v; want its message, and when it was accepted", k.Event.Table, k.Message, k.Accepted)
			}
			places = append(places, k.Position)
		}
		for _, c1 := range []struct {
			what    string
			options []parley.ReadOption
			want    []string
		}{
			{"all that is stored", []parley.ReadOption{parley.UntilTime(time.Now())}, []string{"1", "2", "3", "4"}},
			{"from the start to a time", []parley.ReadOption{parley.FromStart(), parley.UntilTime(third)}, []string{"1", "2"}},
			{"between two times", []parley.ReadOption{parley.FromTime(third), parley.UntilTime(fourth)}, []string{"3"}},
			{"between two positions", []parley.ReadOption{parley.From(places[1]), parley.Until(places[3])}, []string{"2", "3"}},
		} {
			if got, err := read(t.Context(), c, c1.options...); err != nil || !slices.Equal(got, c1.want) {
				t.Errorf("%s = %q, %v; want %q", c1.what, got, err, c1.want)
			}
		}
		if groups, _ := w.directory.Groups(sold.Address()); len(groups) > 0 {
			t.Errorf("after it there are the groups %q; want none", groups)
		}
	})
}

func TestAReadWithoutAnEndGoesOnUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.client("waiter")
		publishOrders(t, c, "1")
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		var last error
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			got, last = read(ctx, c)
		}()
		synctest.Wait()
		publishOrders(t, c, "2", "3")
		cancel()
		<-ended
		if !slices.Equal(got, []string{"2", "3"}) || !errors.Is(last, context.Canceled) || parley.CodeOf(last) != parley.Canceled {
			t.Errorf("Read = %q, %v; want what came while it ran, 2 and 3, and that it was canceled", got, last)
		}
	})
}

func TestALoopMayLeaveARead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which fails if anything of it goes on
		w := newWorld(t)
		c := w.client("waiter")
		publishOrders(t, c, "1", "2", "3")
		events := sold.Read(t.Context(), c, parley.FromStart())
		for range 2 {
			for k, err := range events {
				if err != nil || k.Event.Table != "1" {
					t.Errorf("the first event = %+v, %v; want the first, each time the loop is begun", k, err)
				}
				break
			}
		}
		func() {
			defer func() { _ = recover() }()
			for range events {
				panic("a mistake of the loop")
			}
		}()
	})
}

func TestAnEventThatCannotBeReadEndsNoRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.client("waiter")
		publishOrders(t, c, "1")
		strange := &transport.Envelope{ID: "strange", Source: "s", Address: sold.Address(), ContentType: "application/json", Time: time.Now(), Body: []byte(`{"table":1}`)}
		channel := transport.Channel{Address: sold.Address(), Pattern: transport.Stream, Retain: time.Hour}
		if r := c.Accept(t.Context(), parley.StyleEvent, channel, []*transport.Envelope{strange}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
		publishOrders(t, c, "2")
		var got []string
		for k, err := range sold.Read(t.Context(), c, parley.UntilTime(time.Now())) {
			if err == nil {
				got = append(got, k.Event.Table)
			} else if got = append(got, string(k.ID)); parley.CodeOf(err) != parley.InvalidArgument {
				t.Errorf("with the error %v; want that it does not fit", err)
			}
		}
		if want := []string{"1", "strange", "2"}; !slices.Equal(got, want) {
			t.Errorf("Read = %q; want %q", got, want)
		}
	})
}

func TestATopicIsNotRead(t *testing.T) {
	t.Parallel()
	c := newWorld(t).client("waiter")
	for _, err := range served.Read(t.Context(), c) {
		if parley.CodeOf(err) != parley.FailedPrecondition || !strings.Contains(err.Error(), "Stream") {
			t.Errorf("Read of a topic = %v; want that it wants the Stream option", err)
		}
	}
}
