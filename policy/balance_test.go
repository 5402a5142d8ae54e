package policy

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
)

// load makes calls at a steady rate and counts which instance got them.
func load(t *testing.T, client *Client, s *script, r Request, calls int) map[string]int {
	t.Helper()
	before := len(s.requests())
	for range calls {
		go func() { _, _ = client.Do(t.Context(), r) }()
		time.Sleep(time.Millisecond)
	}
	time.Sleep(10 * time.Second)
	synctest.Wait()
	got := map[string]int{}
	for _, c := range s.requests()[before:] {
		got[c.peer]++
	}
	return got
}

func TestCallsSpreadAndASlowInstanceGetsFewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := ""
		s := scripted(func(_ context.Context, peer string, _ int) error {
			if peer == slow {
				time.Sleep(200 * time.Millisecond)
			}
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		client := New(s, nil, Options{})
		got := load(t, client, s, quote("a", "b", "c"), 3000)
		for _, p := range []string{"a", "b", "c"} {
			if got[p] < 800 || got[p] > 1200 {
				t.Errorf("alike instances got %v; want about 1000 each", got)
				break
			}
		}
		slow = "b"
		if got = load(t, client, s, quote("a", "b", "c"), 3000); got["b"] > 300 || got["b"] == 0 {
			t.Errorf("with b 20 times slower: %v; want less than 300 for b, but some", got)
		}
		slow = ""
		if got = load(t, client, s, quote("a", "b", "c"), 30000); got["b"] < 5000 {
			t.Errorf("with b as fast as the others again: %v; want about a third for b", got)
		}
	})
}

func TestADeadInstanceHarmsNoCallAndIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := "a"
		s := scripted(func(_ context.Context, peer string, _ int) error {
			if peer == dead {
				return refusedConnection()
			}
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		client := New(s, nil, Options{})
		for range 1000 {
			if _, err := client.Do(t.Context(), quote("a", "b")); err != nil {
				t.Fatalf("Do = %v; want b's answer", err)
			}
		}
		if got := client.Breakers()[0]; got.Peer != "a" || got.State == Closed && got.Opened == 0 {
			t.Errorf("breaker %+v; want a's to have opened", got)
		}
		dead = ""
		time.Sleep(80 * time.Second)
		load(t, client, s, quote("a", "b"), 100)
		if got := client.Breakers()[0]; got.State != Closed {
			t.Errorf("breaker %+v; want a's closed again", got)
		}
	})
}

func TestABreakerThatIsDueGetsTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scripted(func(_ context.Context, peer string, _ int) error {
			if peer == "a" {
				time.Sleep(time.Second)
				return unavailable()
			}
			return nil
		})
		client := New(s, nil, Options{Retries: -1, Breaker: BreakerOptions{Requests: 1, Open: time.Second}})
		for client.Breakers() == nil || client.Breakers()[0].State != Open {
			_, _ = client.Do(t.Context(), quote("a", "b"))
		}
		for range 10 { // b is known to be quick
			_, _ = client.Do(t.Context(), quote("a", "b"))
		}
		time.Sleep(1200 * time.Millisecond)
		_, _ = client.Do(t.Context(), quote("a", "b"))
		if c := s.requests(); c[len(c)-1].peer != "a" {
			t.Errorf("the call after the open time went to %s; want a, though it looks slow", c[len(c)-1].peer)
		}
	})
}

func TestAnInstanceThatFailsQuicklyDoesNotAttractCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scripted(func(_ context.Context, peer string, _ int) error {
			if peer == "a" {
				time.Sleep(time.Millisecond)
				return unavailable()
			}
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		client := New(s, nil, Options{Retries: -1, Breaker: BreakerOptions{Requests: 1 << 30}})
		if got := load(t, client, s, quote("a", "b"), 1000); got["a"] > 300 {
			t.Errorf("the failing instance got %d of 1000; want less than 300", got["a"])
		}
	})
}

func TestThePeersAreAskedBeforeEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := []string{"old"}
		s := scripted(func(_ context.Context, peer string, _ int) error {
			if peer == "old" {
				peers = []string{"new"}
				return unavailable()
			}
			return nil
		})
		r := idempotent(quote())
		r.Peers = func() []string { return peers }
		if _, err := New(s, nil, Options{}).Do(t.Context(), r); err != nil {
			t.Errorf("Do = %v; want the answer of the instance that came", err)
		}
	})
}

func TestNobodyAnswers(t *testing.T) {
	_, err := New(sequence(), nil, Options{}).Do(t.Context(), quote())
	e := mustFail(t, err)
	if e.Code != transport.Unavailable || !e.NotSent || !strings.Contains(e.Message, "nobody answers prices.v1.quote") {
		t.Errorf("Do = %+v; want Unavailable, NotSent, saying that nobody answers prices.v1.quote", e)
	}
}

func TestTheLastRealErrorIsKeptWhenBreakersOpenMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scripted(func(context.Context, string, int) error { return refusedConnection() })
		client := New(s, nil, Options{Breaker: BreakerOptions{Connects: 1}})
		_, err := client.Do(t.Context(), quote("a"))
		e := mustFail(t, err)
		if !strings.Contains(e.Message, "connection refused") || !strings.Contains(e.Message, "breaker") || !e.NoRetry {
			t.Errorf("Do = %v; want the refused connection, and that the breaker ended it", e)
		}
	})
}

func TestInstancesThatAreGoneAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := New(sequence(), nil, Options{})
		for range 50 {
			_, _ = client.Do(t.Context(), quote("p"+time.Now().Format("150405")))
			time.Sleep(time.Minute)
		}
		if n := len(client.Breakers()); n > 12 {
			t.Errorf("%d instances are remembered; want those of the last 10 minutes", n)
		}
	})
}
