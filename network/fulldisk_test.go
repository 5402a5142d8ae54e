package network

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/store/sqlite"
)

var (
	bakery = parley.NewAPI("bakery", 1)
	bake   = parley.NewOperation[loaf, loaf](bakery, "bake")
)

type loaf struct {
	Flour string `json:"flour"`
}

// The disk of an owner becomes full. It says so, requests wait in its queue, steps wait where they are, and once there
// is room again everything that was asked for is done.
func TestAFullDiskLosesNoOperation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bakery.db")
	room := int64(512 << 10) // bytes
	n := open(t, "mem://", WithSource("bakery"), WithJournal(func(ctx context.Context, _ string) (operation.Journal, error) {
		return sqlite.Open(ctx, file, sqlite.Options{MaxBytes: room})
	}))
	client, err := parley.NewClient("bakery", n, parley.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	run := func() (stop func()) {
		t.Helper()
		s, err := parley.NewService(client, parley.Grace(0), bake.Handle(1, func(ctx context.Context, l loaf) (loaf, error) {
			return parley.Step(ctx, "oven", func(context.Context) (loaf, error) { return l, nil })
		}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		select {
		case <-s.Ready():
		case err := <-done:
			t.Fatalf("Run = %v before it was ready", err)
		}
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run = %v; want nil, a full disk is no reason to end", err)
			}
		}
	}
	stop := run()
	var runs []parley.Execution[loaf]
	full := ""
	for i := 0; i < 200 && full == ""; i++ {
		x, err := bake.Start(t.Context(), client, loaf{Flour: strings.Repeat("x", 8<<10)})
		if err != nil {
			t.Fatalf("Start %d = %v; want it accepted, by the owner or its queue", i, err)
		}
		runs = append(runs, x)
		for _, r := range n.Readiness() {
			full = r.Reason
		}
	}
	if !strings.Contains(full, "full") {
		t.Fatalf("readiness after %d operations = %q; want it to say that the disk is full", len(runs), full)
	}
	for range 3 {
		x, err := bake.Start(t.Context(), client, loaf{Flour: "rye"})
		if err != nil {
			t.Fatalf("Start on a full disk = %v; want it in the queue", err)
		}
		runs = append(runs, x)
	}
	stop()
	room = 0 // as much as there is
	defer run()()
	for i, x := range runs {
		if _, err := x.Wait(t.Context(), client); err != nil {
			t.Errorf("operation %d of %d = %v; want it done once there is room", i, len(runs), err)
		}
	}
}
