package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
)

// A kitchen reports in three batches: it took a command, published an event because of it, and was done.
func kitchenBatch(number uint64) ledger.Batch {
	now := time.Now()
	command := ledger.Transition{At: now, ID: "c-1", Style: ledger.StyleCommand, Address: "kitchen.v1.serve", Service: "kitchen", Group: "kitchen.v1.serve", Attempt: 1}
	event := ledger.Transition{
		At: now, Kind: ledger.Accepted, ID: "e-1", Style: ledger.StyleEvent, Address: "kitchen.v1.served", Service: "kitchen",
		Correlation: "c-1", Causation: "c-1", Expected: []string{},
	}
	b := ledger.Batch{Version: ledger.Format, Process: "kitchen~1", Number: number, At: now}
	accepted, received, done := command, command, command
	accepted.Kind, received.Kind, done.Kind = ledger.Accepted, ledger.Received, ledger.Done
	switch number {
	case 1:
		b.Transitions = []ledger.Transition{accepted, received}
	case 2:
		b.Transitions = []ledger.Transition{event}
	case 3:
		b.Transitions = []ledger.Transition{done}
	}
	return b
}

// followed is what a watch of the command prints while batches come, each after a pause, and how long it lasts.
func followed(t *testing.T, pause time.Duration, numbers ...uint64) (text string, took time.Duration) {
	t.Helper()
	net, err := network.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := net.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	report := func(number uint64) {
		body, err := json.Marshal(kitchenBatch(number))
		if err != nil {
			t.Fatal(err)
		}
		e := &transport.Envelope{
			ID: fmt.Sprint("batch-", number), Source: "kitchen~1", Address: ledger.Stream().Address, ContentType: "application/json", Time: time.Now(), Body: body,
		}
		if r := net.Messages.Send(t.Context(), []*transport.Envelope{e}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
		synctest.Wait()
	}
	report(1)
	report(3)
	var out bytes.Buffer
	a := &app{out: &out, err: &out, output: outputTable}
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- a.watch(t.Context(), &session{net: net}, "c-1") }()
	for _, n := range numbers {
		time.Sleep(pause)
		report(n)
	}
	if err := <-ended; err != nil {
		t.Errorf("watch = %v; want nil", err)
	}
	return out.String(), time.Since(began)
}

func TestAWatchWaitsForWhatOthersHaveOvertaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		text, took := followed(t, ledger.WriteWithin/2, 2)
		if !strings.Contains(text, "kitchen.v1.served") || took != ledger.WriteWithin/2 {
			t.Errorf("after %v it has printed:\n%s\nwant the event, and the end with it after %v", took, text, ledger.WriteWithin/2)
		}
	})
}

func TestAWatchEndsWhereOnlyAGapIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		text, took := followed(t, 0)
		if !strings.Contains(text, "gap: process kitchen~1: batch 2 is missing") || took != ledger.WriteWithin {
			t.Errorf("after %v it has printed:\n%s\nwant the gap, and the end after %v", took, text, ledger.WriteWithin)
		}
	})
}

func TestAGapStaysWhateverElseComesAndGoes(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) time.Time { return time.Unix(0, 0).Add(d) }
	var l lasting
	for _, x := range []struct {
		after time.Duration
		gaps  []string
		stay  bool
		rest  time.Duration
	}{
		{0, nil, false, followPoll},
		{0, []string{"a", "b"}, false, ledger.WriteWithin},
		{ledger.WriteWithin / 2, []string{"c"}, false, ledger.WriteWithin}, // neither a nor b has stayed
		{ledger.WriteWithin, []string{"c", "d"}, false, ledger.WriteWithin / 2},
		{ledger.WriteWithin * 3 / 2, []string{"e", "c"}, true, 0},
		{2 * ledger.WriteWithin, nil, false, followPoll},
		{2 * ledger.WriteWithin, []string{"c"}, false, ledger.WriteWithin},
	} {
		now := at(x.after)
		if stay := l.stay(x.gaps, now); stay != x.stay || l.rest(now) != x.rest {
			t.Errorf("after %v with %v: stay = %v, rest = %v; want %v, %v", x.after, x.gaps, stay, l.rest(now), x.stay, x.rest)
		}
	}
}
