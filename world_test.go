package parley_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/operation"
	store "github.com/parley-io/parley/store/mem"
	"github.com/parley-io/parley/transport/mem"
)

// directory is who is there, in one process's memory.
type directory struct {
	mu        sync.Mutex
	instances map[string]parley.Instance
	groups    map[string][]string
}

func newDirectory() *directory {
	return &directory{instances: map[string]parley.Instance{}, groups: map[string][]string{}}
}

func (d *directory) Announce(_ context.Context, i parley.Instance) (func(context.Context) error, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.instances[i.ID] = i
	return func(context.Context) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.instances, i.ID)
		return nil
	}, nil
}

func (d *directory) Instances() []parley.Instance {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.instances))
}

func (d *directory) Peers(address string) (peers []string) {
	for _, i := range d.Instances() {
		if slices.Contains(i.Answers, address) {
			peers = append(peers, i.Peer)
		}
	}
	return peers
}

func (d *directory) Register(_ context.Context, address, group string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups[address] = append(d.groups[address], group)
	return nil
}

func (d *directory) Groups(address string) ([]string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.groups[address]), true
}

// world is a fabric and who is there.
type world struct {
	t         *testing.T
	fabric    *mem.Fabric
	directory *directory
	faults    parley.Faults
	journals  map[string]*store.Database // by service; they survive its processes
	processes int
}

func newWorld(t *testing.T) *world {
	return &world{t: t, fabric: mem.New(), directory: newDirectory(), journals: make(map[string]*store.Database)}
}

// journal opens the journal of a service.
func (w *world) journal(ctx context.Context, service string) (operation.Journal, error) {
	if w.journals[service] == nil {
		w.journals[service] = store.New()
	}
	return w.journals[service].Open(ctx)
}

// client is one process of its own, which logs nothing.
func (w *world) client(name string) *parley.Client {
	w.t.Helper()
	return w.clientWith(name, parley.WithLogger(slog.New(slog.DiscardHandler)))
}

func (w *world) clientWith(name string, options ...parley.ClientOption) *parley.Client {
	w.t.Helper()
	w.processes++
	p := w.fabric.Process(fmt.Sprintf("%s-%d", name, w.processes))
	c, err := parley.NewClient(name, &parley.Network{Name: "mem", Calls: p.Caller(), Messages: p.Broker(), Operator: p.Broker(), Directory: w.directory, Faults: w.faults, Journal: w.journal},
		options...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := errors.Join(p.Caller().Close(context.Background()), p.Broker().Close(context.Background())); err != nil {
			w.t.Error(err)
		}
	})
	return c
}

// serve runs a service until the end of the test, or until stop is called; it returns once the service is ready.
func (w *world) serve(c *parley.Client, registrations ...parley.Registration) (stop func()) {
	w.t.Helper()
	s, err := parley.NewService(c, registrations...)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.run(s)
}

// run is serve of a service that was made.
func (w *world) run(s *parley.Service) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run = %v; want nil after its context is done", err)
		}
	})
	w.t.Cleanup(stop)
	select {
	case <-s.Ready():
	case err := <-done:
		w.t.Fatalf("Run = %v before it was ready", err)
	}
	return stop
}
