package fault_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/fault"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/transporttest"
)

// operated is a wrapped broker with the Operator of the one inside.
type operated struct {
	transport.Broker
	transport.Operator
}

// harmless are rules that are looked at and never strike.
const harmless = "fail send at nobody\ncut broker nothing.at.all\nfail call at nobody\nlose answer nothing.*"

func TestWithoutAFaultABrokerKeepsItsPromises(t *testing.T) {
	for name, rules := range map[string]string{"no rules": "", "rules about others": harmless} {
		t.Run(name, func(t *testing.T) {
			results := transporttest.Run(t, transporttest.Target[transporttest.Site]{
				Name: "fault around mem", Virtual: true, Declared: transporttest.MemoryDeclared(),
				Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
					inj := fault.New()
					set(t, inj, rules)
					return transporttest.Memory(mem.New(), func(b *mem.Broker) transport.Broker {
						return &operated{inj.Broker(b, "tested"), b}
					}), nil, nil
				},
			}, transporttest.Options{})
			if err := transporttest.Errors(results); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWithoutAFaultACallerKeepsItsPromises(t *testing.T) {
	for name, rules := range map[string]string{"no rules": "", "rules about others": harmless} {
		t.Run(name, func(t *testing.T) {
			transporttest.RunCaller(t, transporttest.Target[transporttest.Peers]{
				Name:    "fault around mem",
				Virtual: true,
				Start: func(context.Context) (transporttest.Peers, func(context.Context) error, error) {
					inj, fabric := fault.New(), mem.New()
					set(t, inj, rules)
					var names atomic.Int32
					return transporttest.Peers{
						Open: func(context.Context) (transport.Caller, error) {
							return inj.Caller(fabric.Process(fmt.Sprintf("p%d", names.Add(1))).Caller(), "tested"), nil
						},
						MaxBytes: transport.DefaultMaxBody,
					}, nil, nil
				},
			}, transporttest.Options{})
		})
	}
}
