package parley_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/fault"
	"github.com/parley-io/parley/transport/mem"
)

func TestACallIsAnsweredAndADeclaredErrorCrossesTheWireByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serve(w.client("cafe"), getPrice.Handle(func(ctx context.Context, i item) (price, error) {
			if m, ok := parley.MessageFrom(ctx); !ok || m.Source != "guest" || m.Address != "cafe.v1.get-price" {
				t.Errorf("MessageFrom = %+v, %v; want a message from guest to cafe.v1.get-price", m, ok)
			}
			if i.Name == "tea" {
				return price{}, parley.WithDetails(errSoldOut, shortage{Left: 3})
			}
			return price{Cents: 250}, nil
		}))
		guest := w.client("guest")
		got, err := getPrice.Call(t.Context(), guest, item{Name: "espresso"})
		if err != nil || got.Cents != 250 {
			t.Errorf("Call = %v, %v; want 250 cents", got, err)
		}
		var id parley.MessageID
		_, err = getPrice.Call(t.Context(), guest, item{Name: "tea"}, parley.ReportID(&id))
		if !errors.Is(err, errSoldOut) || parley.CodeOf(err) != parley.FailedPrecondition {
			t.Errorf("Call = %v; want sold-out, a FailedPrecondition", err)
		}
		if d, ok := parley.DetailsOf[shortage](err); !ok || d.Left != 3 {
			t.Errorf("DetailsOf = %v, %v; want 3 left", d, ok)
		}
		if e, ok := errors.AsType[*parley.Error](err); !ok || e.ID != string(id) || id == "" {
			t.Errorf("the error %#v does not name the call's id %q", err, id)
		}
	})
}

func TestARequestThatDoesNotFitIsToldFieldByField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serve(w.client("cafe"), getPrice.Handle(func(context.Context, item) (price, error) {
			t.Error("the handler ran")
			return price{}, nil
		}))
		guest := w.client("guest")
		_, err := getPrice.Call(t.Context(), guest, item{})
		e, ok := errors.AsType[*parley.Error](err)
		if !ok || e.Code != parley.InvalidArgument || len(e.Fields) != 1 || e.Fields[0].Path != "name" {
			t.Errorf("Call = %v; want an InvalidArgument about name", err)
		}
		id, err := brew.Send(t.Context(), guest, order{Table: "4"})
		e, ok = errors.AsType[*parley.Error](err)
		if !ok || e.Code != parley.InvalidArgument || !e.NotSent || id != "" {
			t.Errorf("Send = %q, %v; want an InvalidArgument that was not sent", id, err)
		}
	})
}

func TestAMessageThatIsTooLargeIsRefusedBeforeItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, err := brew.Send(t.Context(), w.client("guest"), order{Table: "1", Drink: strings.Repeat("x", 256<<10)})
		e, ok := errors.AsType[*parley.Error](err)
		if !ok || e.Code != parley.InvalidArgument || !e.NotSent || !strings.Contains(err.Error(), "want at most") {
			t.Errorf("Send of 256 KiB = %v; want an InvalidArgument that names the limit", err)
		}
	})
}

func TestFaultsOnPurposeStrikeTheServiceThatTheyName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules, err := fault.Parse("fail handle cafe.v1.brew at bar\nfail call cafe.v1.* at guest with unavailable \"on purpose\"")
		if err != nil {
			t.Fatal(err)
		}
		faults := fault.New()
		if err := faults.Set(rules); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t)
		w.faults = faults
		handled := 0
		w.serve(w.client("bar"), brew.Handle(func(context.Context, order) error { handled++; return nil }, parley.Retries(0, time.Second)))
		w.serve(w.client("cafe"), getPrice.Handle(func(context.Context, item) (price, error) { return price{Cents: 1}, nil }))
		if _, err := getPrice.Call(t.Context(), w.client("guest"), item{Name: "x"}); parley.CodeOf(err) != parley.Unavailable || !strings.Contains(err.Error(), "on purpose") {
			t.Errorf("Call by guest = %v; want the fault", err)
		}
		neighbour := w.client("neighbour")
		if _, err := getPrice.Call(t.Context(), neighbour, item{Name: "x"}); err != nil {
			t.Errorf("Call by neighbour = %v; want an answer, the fault is at guest", err)
		}
		if _, err := brew.Send(t.Context(), neighbour, order{Table: "1", Drink: "tea"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if handled != 0 {
			t.Error("the handler ran although it fails on purpose")
		}
		if err := faults.Set(nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if handled != 1 {
			t.Errorf("handled %d times once the fault was over; want 1", handled)
		}
	})
}

func TestAnErrorWithoutACodeStaysOnItsSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serve(w.client("cafe"), getPrice.Handle(func(context.Context, item) (price, error) {
			return price{}, errors.New("password is 1234")
		}))
		_, err := getPrice.Call(t.Context(), w.client("guest"), item{Name: "x"})
		if parley.CodeOf(err) != parley.Internal || strings.Contains(err.Error(), "1234") {
			t.Errorf("Call = %v; want Internal without the text of the handler's error", err)
		}
	})
}

func TestACommandIsHandledOnceByOneAndAnEventByEachGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		got := map[string]int{}
		note := func(who string) func(context.Context, order) error {
			return func(context.Context, order) error {
				mu.Lock()
				defer mu.Unlock()
				got[who]++
				return nil
			}
		}
		w.serve(w.client("bar"), brew.Handle(note("bar")), served.Subscribe("bar", note("bar-served")))
		w.serve(w.client("till"), served.Subscribe("till", note("till-served")))
		guest := w.client("guest")
		for range 10 {
			if _, err := brew.Send(t.Context(), guest, order{Table: "1", Drink: "tea"}); err != nil {
				t.Fatal(err)
			}
			if _, err := served.Publish(t.Context(), guest, order{Table: "1", Drink: "tea"}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := map[string]int{"bar": 10, "bar-served": 10, "till-served": 10}
		if !maps.Equal(got, want) {
			t.Errorf("handled %v; want %v", got, want)
		}
	})
}

func TestWhatAHandlerSendsBelongsToTheSameStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bar := w.client("bar")
		w.serve(bar, brew.Handle(func(ctx context.Context, o order) error {
			_, err := served.Publish(ctx, bar, o)
			return err
		}))
		seen := make(chan parley.Message, 1)
		w.serve(w.client("till"), served.Subscribe("till", func(ctx context.Context, _ order) error {
			m, _ := parley.MessageFrom(ctx)
			seen <- m
			return nil
		}))
		id, err := brew.Send(t.Context(), w.client("guest"), order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		if m := <-seen; m.Correlation != id || m.Causation != id || m.ID == id {
			t.Errorf("the event is %+v; want one caused by %s", m, id)
		}
	})
}

func TestOnlyWhatASubscriptionWantsIsHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var got []string
		w.serve(w.client("till"), served.Subscribe("till", func(_ context.Context, o order) error {
			got = append(got, o.Drink)
			return nil
		}, parley.Only(func(o order) bool { return o.Table == "1" }), parley.Concurrency(1)))
		guest := w.client("guest")
		for _, o := range []order{{"1", "tea"}, {"2", "milk"}, {"1", "water"}} {
			if _, err := served.Publish(t.Context(), guest, o); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if want := []string{"tea", "water"}; !slices.Equal(got, want) {
			t.Errorf("handled %v; want %v", got, want)
		}
	})
}

func TestALateJoinerReplaysAStreamFromItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		guest := w.client("guest")
		for _, drink := range []string{"tea", "milk"} {
			if _, err := sold.Publish(t.Context(), guest, order{Drink: drink}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		w.serve(w.client("books"), sold.Subscribe("books", func(_ context.Context, o order) error {
			got = append(got, o.Drink)
			return nil
		}, parley.FromStart(), parley.Concurrency(1)))
		synctest.Wait()
		if want := []string{"tea", "milk"}; !slices.Equal(got, want) {
			t.Errorf("replayed %v; want %v", got, want)
		}
	})
}

func TestPublishingToNobodyIsSuccessUnlessAnAudienceIsRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		guest := w.client("guest")
		if _, err := served.Publish(t.Context(), guest, order{Drink: "tea"}); err != nil {
			t.Errorf("Publish to nobody = %v; want success", err)
		}
		if _, err := closing.Publish(t.Context(), guest, order{Drink: "tea"}); !errors.Is(err, parley.ErrNoAudience) {
			t.Errorf("Publish with RequireAudience = %v; want ErrNoAudience", err)
		}
	})
}

func TestASendIsNotBlockedForeverByABrokerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		guest := w.client("guest")
		w.fabric.Stop()
		began := time.Now()
		_, err := brew.Send(t.Context(), guest, order{Table: "1", Drink: "tea"})
		e, ok := errors.AsType[*parley.Error](err)
		if !ok || !e.NotSent {
			t.Errorf("Send = %v; want an error that says that nothing was sent", err)
		}
		if took := time.Since(began); took > parley.DefaultSendTimeout+time.Second {
			t.Errorf("Send took %v; want at most its %v", took, parley.DefaultSendTimeout)
		}
		w.fabric.Start()
	})
}

func TestStoppingAServiceLetsARunningCallEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		running := make(chan struct{})
		stop := w.serve(w.client("cafe"), getPrice.Handle(func(context.Context, item) (price, error) {
			close(running)
			time.Sleep(time.Second)
			return price{Cents: 1}, nil
		}))
		guest := w.client("guest")
		answered := make(chan error, 1)
		go func() {
			_, err := getPrice.Call(t.Context(), guest, item{Name: "x"})
			answered <- err
		}()
		<-running
		stop()
		if err := <-answered; err != nil {
			t.Errorf("the call that ran while the service stopped = %v; want its answer", err)
		}
		if left := w.directory.Instances(); len(left) > 0 {
			t.Errorf("after the stop there is still %v", left)
		}
	})
}

func TestEverythingWrongWithAServiceIsReportedTogether(t *testing.T) {
	t.Parallel()
	answer := func(context.Context, item) (price, error) { return price{}, nil }
	handle := func(context.Context, order) error { return nil }
	p := mem.New().Process("cafe")
	client, err := parley.NewClient("cafe", &parley.Network{Name: "no calls", Messages: p.Broker()})
	if err != nil {
		t.Fatal(err)
	}
	bad := parley.NewAPI("Bad", 0)
	wrong := parley.NewCommand[func()](bad, "wrong")
	_, err = parley.NewService(client,
		getPrice.Handle(answer), getPrice.Handle(answer),
		brew.Handle(handle), brew.Handle(handle, parley.Concurrency(0)),
		served.Subscribe("two words", handle), served.Subscribe("a", handle, parley.FromStart()),
		served.Subscribe("b", handle, parley.Only(func(string) bool { return true })),
		wrong.Handle(func(context.Context, func()) error { return nil }),
		clean.Handle(nil), sold.Subscribe("c", handle, parley.Retries(-1), parley.HandlerTimeout(-1)), nil,
	)
	if err == nil {
		t.Fatal("NewService = nil; want an error")
	}
	for _, want := range []string{
		"cafe.v1.get-price is handled twice: at service_test.go:", "Concurrency(0)", `name "two words"`, "From wants an event with the Stream option",
		"Only wants", `name "Bad"`, "version 0", "no calls has none", "unsupported",
		"the handler is nil", "Retries(-1): want 0 or more; HandlerTimeout(-1ns): want more than 0", "registration 10 is nil",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("NewService = %v\nwant it to say %q too", err, want)
		}
	}
}

func TestDefiningAContractAfterItsAPIIsInUsePanics(t *testing.T) {
	t.Parallel()
	api := parley.NewAPI("late", 1)
	first := parley.NewEvent[order](api, "first")
	p := mem.New().Process("x")
	client, err := parley.NewClient("x", &parley.Network{Messages: p.Broker()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Publish(t.Context(), client, order{Drink: "tea"}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("NewEvent on an API in use did not panic")
		}
	}()
	parley.NewEvent[order](api, "second")
}

var _ parley.Directory = (*directory)(nil)
var _ parley.Sender = (*parley.Client)(nil)
var _ transport.Broker = (*mem.Broker)(nil)
