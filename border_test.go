package parley_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
)

func TestAPanicOfACallsHandlerIsLoggedWithItsStackAndAnsweredAsInternal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var log strings.Builder
		p := w.fabric.Process("cafe")
		cafeClient, err := parley.NewClient("cafe", &parley.Network{Calls: p.Caller(), Messages: p.Broker(), Directory: w.directory},
			parley.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		if err != nil {
			t.Fatal(err)
		}
		stop := w.serve(cafeClient, getPrice.Handle(func(context.Context, item) (price, error) { panic("the till is on fire") }))
		_, err = getPrice.Call(t.Context(), w.client("guest"), item{Name: "x"})
		if parley.CodeOf(err) != parley.Internal || strings.Contains(err.Error(), "fire") {
			t.Errorf("Call = %v; want Internal without the panic's text", err)
		}
		stop()
		if got := log.String(); !strings.Contains(got, "the till is on fire") || !strings.Contains(got, "border_test.go") {
			t.Errorf("the log is %s; want the panic and its stack", got)
		}
	})
}

func TestAHandlersOwnTimeoutIsNotTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serve(w.client("cafe"), getPrice.Handle(func(ctx context.Context, _ item) (price, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			<-ctx.Done()
			return price{}, ctx.Err()
		}))
		if _, err := getPrice.Call(t.Context(), w.client("guest"), item{Name: "x"}); parley.CodeOf(err) != parley.Internal {
			t.Errorf("Call = %v; want Internal, for the caller had time left", err)
		}
	})
}

func TestASendAfterItsDeadlineSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guest := newWorld(t).client("guest")
		late, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		given, cancel := context.WithCancel(t.Context())
		cancel()
		for _, tt := range []struct {
			ctx  context.Context
			want parley.Code
		}{{late, parley.DeadlineExceeded}, {given, parley.Canceled}} {
			_, err := clean.Send(tt.ctx, guest, order{Drink: "tea"})
			if e, ok := errors.AsType[*parley.Error](err); !ok || e.Code != tt.want || !e.NotSent {
				t.Errorf("Send = %v; want %s, certainly not sent", err, tt.want)
			}
		}
	})
}

func TestTheReportedIDIsTheOneThatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id parley.MessageID
		sent, err := clean.Send(t.Context(), newWorld(t).client("guest"), order{Drink: "tea"}, parley.ReportID(&id), parley.WithID("mine"))
		if err != nil || sent != "mine" || id != "mine" {
			t.Errorf("Send = %q, %v, and reported %q; want mine", sent, err, id)
		}
	})
}

func TestTwoServicesThatDeclareOneChannelDifferentlyDoNotBothStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		handle := func(context.Context, order) error { return nil }
		w.serve(w.client("one"), parley.NewCommand[order](parley.NewAPI("mill", 1), "grind").Handle(handle),
			parley.NewCommand[order](parley.NewAPI("mill", 2), "grind").Handle(handle))
		key := func(o order) string { return o.Table }
		other, err := parley.NewService(w.client("two"),
			parley.NewCommand[order](parley.NewAPI("mill", 1), "grind").KeyedBy(key).Handle(handle),
			parley.NewCommand[order](parley.NewAPI("mill", 2), "grind").KeyedBy(key).Handle(handle))
		if err != nil {
			t.Fatal(err)
		}
		err = other.Run(t.Context())
		if err == nil {
			t.Fatal("Run = nil; want an error about two channels")
		}
		for _, want := range []string{"service two", "mill.v1.grind", "mill.v2.grind", "0 partitions", "8 partitions"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("Run = %v; want it to say %q", err, want)
			}
		}
	})
}
