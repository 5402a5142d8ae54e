package servers_test

import (
	"context"
	"testing"
	"time"

	"github.com/parley-io/parley/internal/servers"
)

// start has the server ended with the test.
func start(t *testing.T, kind servers.Kind, options servers.Options) *servers.Server {
	t.Helper()
	s, err := servers.Start(t.Context(), kind, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *servers.Server) {
	t.Helper()
	s.KeepLogs = t.Failed()
	if err := s.Stop(context.Background()); err != nil {
		t.Errorf("Stop = %v; want nil", err)
	}
	if s.KeepLogs {
		t.Log("logs are in", s.Logs)
	}
}

func record(t *testing.T, s *servers.Server) servers.Record {
	t.Helper()
	r, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// soon is a deadline for what takes seconds, or more on a busy machine.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestAKilledServerComesBackWithItsDataWhileAnotherOfItsKindGoesOn(t *testing.T) {
	t.Parallel()
	for _, kind := range servers.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			client := clients[kind]
			s, other := start(t, kind, servers.Options{}), start(t, kind, servers.Options{})
			ctx := soon(t)
			if err := client.put(ctx, s.URL, "kept"); err != nil {
				t.Fatal(err)
			}
			if err := client.put(ctx, other.URL, "other"); err != nil {
				t.Fatal(err)
			}
			if client.settle != nil {
				if err := client.settle(ctx, record(t, s).Dir); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			if record(t, s).Running() {
				t.Error("Running = true after Kill; want false")
			}
			if text, err := client.get(ctx, other.URL); text != "other" || err != nil {
				t.Errorf("get from the other one = %q, %v; want other", text, err)
			}
			if err := s.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			if text, err := client.get(ctx, s.URL); text != "kept" || err != nil {
				t.Errorf("get after Restart = %q, %v; want kept", text, err)
			}
		})
	}
}

func TestAFrozenServerAnswersOnlyWhenThawed(t *testing.T) {
	t.Parallel()
	ctx, client := soon(t), clients[servers.NATS]
	s := start(t, servers.NATS, servers.Options{})
	if err := client.put(ctx, s.URL, "kept"); err != nil {
		t.Fatal(err)
	}
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if text, err := client.get(brief, s.URL); err == nil {
		t.Errorf("get from a frozen server = %q; want a timeout", text)
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	if text, err := client.get(ctx, s.URL); text != "kept" || err != nil {
		t.Errorf("get after Thaw = %q, %v; want kept", text, err)
	}
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(ctx); err != nil {
		t.Errorf("Stop of a frozen server = %v; want nil", err)
	}
}
