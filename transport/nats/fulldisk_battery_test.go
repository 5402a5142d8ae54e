//go:build battery && linux

package nats_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
)

// resumeLimit is how long after space has returned messages must be taken again.
const resumeLimit = 30 * time.Second

// smallDisk is the directory of a disk of its own, in memory. It needs root.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("parley-test", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Fatalf("mounting a tmpfs on %s: %v; want root's rights (CAP_SYS_ADMIN) for this test", dir, err)
	}
	t.Cleanup(func() {
		// The server's library leaves a file of a batch open that could not be staged, though it has removed it.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

// fillUp takes all that a disk has left, faster than a watchdog can look.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	taken := int64(0)
	for size := int64(32 << 20); size >= 4096; {
		if err := syscall.Fallocate(int(f.Fd()), 0, taken, size); err != nil {
			size /= 2
			continue
		}
		taken += size
	}
}

// presser sends without end, and counts what becomes of it.
type presser struct {
	t *testing.T
	b *nats.Broker
	c transport.Channel

	mu        sync.Mutex
	sent      map[string]bool // all ids
	confirmed map[string]bool
	outcomes  map[string]int
	changed   chan struct{} // closed and replaced with each outcome
}

func newPresser(t *testing.T, b *nats.Broker, c transport.Channel) *presser {
	return &presser{
		t: t, b: b, c: c, sent: make(map[string]bool), confirmed: make(map[string]bool), outcomes: make(map[string]int),
		changed: make(chan struct{}),
	}
}

// press sends batches until ctx is done. What was not confirmed is given up, so that nobody repeats for it.
func (p *presser) press(ctx context.Context, size int) {
	for ctx.Err() == nil {
		var batch []*transport.Envelope
		for range 40 {
			e := envelope(p.c, "k")
			e.Body = []byte(`"` + strings.Repeat("x", size) + `"`)
			batch = append(batch, e)
		}
		p.mu.Lock()
		for _, e := range batch {
			p.sent[e.ID] = true
		}
		p.mu.Unlock()
		receipts := p.b.Send(context.WithoutCancel(ctx), batch)
		p.mu.Lock()
		for i, r := range receipts {
			p.outcomes[outcome(r.Err)]++
			if r.Err == nil {
				p.confirmed[batch[i].ID] = true
			}
		}
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// outcome is the kind of a receipt.
func outcome(err error) string {
	switch {
	case err == nil:
		return "confirmed"
	case errors.Is(err, transport.ErrNotSent):
		return "not sent: " + string(transport.CodeOf(err))
	case errors.Is(err, transport.ErrRefused):
		return "refused: " + err.Error()
	}
	return "unknown"
}

// until waits for n more of an outcome, and returns how long that took.
func (p *presser) until(n int, outcomes ...string) time.Duration {
	p.t.Helper()
	count := func() (sum int, changed <-chan struct{}) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, o := range outcomes {
			sum += p.outcomes[o]
		}
		return sum, p.changed
	}
	begin, late := time.Now(), time.After(time.Minute)
	before, _ := count()
	for {
		now, changed := count()
		if now >= before+n {
			return time.Since(begin)
		}
		select {
		case <-changed:
		case <-late:
			p.mu.Lock()
			defer p.mu.Unlock()
			p.t.Fatalf("%d more receipts of %q have not come within a minute; all: %v", n, outcomes, p.outcomes)
		}
	}
}

// account compares what is stored with what was confirmed: all of that, and nothing that was never sent.
func (p *presser) account() {
	p.t.Helper()
	got := readAll(p.t, p.b, p.c)
	p.mu.Lock()
	defer p.mu.Unlock()
	lost, invented := 0, 0
	for id := range p.confirmed {
		if got[id] != 1 {
			lost++
		}
	}
	for id := range got {
		if !p.sent[id] {
			invented++
		}
	}
	p.t.Logf("%d stored; receipts: %v", len(got), p.outcomes)
	if lost > 0 || invented > 0 {
		p.t.Errorf("of %d confirmed messages %d are not stored once, and %d are stored that nobody sent; want 0 and 0", len(p.confirmed), lost, invented)
	}
}

// readAll is how often each message of a stream is stored, by id.
func readAll(t *testing.T, b *nats.Broker, c transport.Channel) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := make(map[string]int)
	err := b.Receive(ctx, transport.Route{
		Channel: c, From: transport.Position{Start: true}, Until: transport.Position{Time: time.Now()},
		Credit: transport.NewCredit(1000),
	}, func(d *transport.Delivery) {
		got[d.Envelope.ID]++
		d.Settle(transport.Done)
	})
	if err != nil || ctx.Err() != nil {
		t.Fatalf("reading %s: %v, %v; want to come to its end within a minute", c.Address, err, ctx.Err())
	}
	return got
}

func TestABrokerOnAFullDiskRecoversByItself(t *testing.T) {
	dir := smallDisk(t, 64)
	said := make(chan string, 10_000)
	s := startServer(t, embedded.Options{Dir: filepath.Join(dir, "data"), Warn: func(line string) { said <- line }})
	b := open(t, s)
	c := transport.Channel{Address: "a.b", Pattern: transport.Stream, Partitions: 2}
	declare(t, b, c)
	p := newPresser(t, b, c)
	ctx, cancel := context.WithCancel(t.Context())
	var pressing sync.WaitGroup
	defer pressing.Wait()
	defer cancel()
	for range 4 {
		pressing.Go(func() { p.press(ctx, 200) })
	}
	ballast := filepath.Join(dir, "ballast")
	for round := range 3 {
		p.until(1000, "confirmed")
		fillUp(t, ballast)
		p.until(200, "not sent: "+string(transport.ResourceExhausted), "not sent: "+string(transport.Unavailable))
		status := s.Status()
		if status.Trouble == "" {
			t.Errorf("round %d: Status = %+v with a full disk; want it to tell of Trouble", round, status)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		took := p.until(200, "confirmed")
		t.Logf("round %d: with the disk full: %+v; taking messages again %v after space returned", round, status, took)
		if took > resumeLimit {
			t.Errorf("messages were taken %v after space had returned; want at most %v", took, resumeLimit)
		}
	}
	cancel()
	pressing.Wait()
	p.account()
	for len(said) > 0 {
		if line := <-said; strings.Contains(line, "anew") || strings.Contains(line, "disk of") {
			t.Log(line)
		}
	}
}
