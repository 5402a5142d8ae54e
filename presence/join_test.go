package presence_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/presence"
	"github.com/parley-io/parley/transport/mem"
)

// join attaches a process to the fabric; its presence is closed with the test.
func join(t *testing.T, fabric *mem.Fabric, name string) *presence.Presence {
	t.Helper()
	return joinAs(t, fabric.Process(name))
}

func joinAs(t *testing.T, process *mem.Process) *presence.Presence {
	t.Helper()
	p, err := presence.Join(t.Context(), process.Broker(), presence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) }) // a killed process cannot say goodbye
	return p
}

func announce(t *testing.T, p *presence.Presence, i parley.Instance) (leave func(context.Context) error) {
	t.Helper()
	leave, err := p.Announce(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

func register(t *testing.T, p *presence.Presence, address, group string) {
	t.Helper()
	if err := p.Register(t.Context(), address, group); err != nil {
		t.Fatal(err)
	}
}

func closeIt(t *testing.T, p *presence.Presence) {
	t.Helper()
	if err := p.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func wantServices(t *testing.T, when string, p *presence.Presence, want ...string) {
	t.Helper()
	var got []string
	for _, i := range p.Instances() {
		got = append(got, i.Service)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: services = %v, want %v", when, got, want)
	}
}

func wantIDs(t *testing.T, when string, p *presence.Presence, want ...string) {
	t.Helper()
	var got []string
	for _, i := range p.Instances() {
		got = append(got, i.ID)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: ids = %v, want %v", when, got, want)
	}
}
