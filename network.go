package parley

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/telemetry"
	"github.com/parley-io/parley/transport"
)

// Network is what clients and services of one process talk through. Package network fills it from a URL and links
// every driver; whoever wants a small binary fills it with the drivers' own constructors. A field that is nil is
// something this network cannot do, and whatever needs it is refused by NewClient or NewService.
// It may be shared by several clients and is not changed after the first.
type Network struct {
	Name     string             // for people: the URL without its password
	Calls    transport.Caller   // Call
	Messages transport.Broker   // Send, Publish
	Operator transport.Operator // groups, backlogs; usually the same value as Messages
	// Journal opens the journal in which a service keeps its operations; all instances of the service must be given the
	// same. It is closed by whoever asked for it. nil = no operations.
	Journal func(ctx context.Context, service string) (operation.Journal, error)
	// Directory finds the peers of calls and the groups of events; nil = peers from PARLEY_SERVICE_NAME only, and
	// expected receivers are not known.
	Directory Directory
	// Recorder takes what becomes of messages; nil = nothing is recorded and Follow has nothing to show.
	Recorder ledger.Recorder
	// Telemetry is where spans and metrics go; the zero value = nowhere. Package parleyotel makes it from the standard
	// environment variables.
	Telemetry telemetry.Providers
	// Faults break things on purpose, on networks for development; nil = nothing.
	Faults Faults
	// OnClose is what Close calls, last first.
	OnClose []func(context.Context) error

	health health
}

// Close frees what the network holds, until ctx is done. Close it after the services on it have returned.
// What could not be freed in time is tried again by the next Close.
func (n *Network) Close(ctx context.Context) error {
	var errs []error
	var failed []func(context.Context) error
	for _, f := range slices.Backward(n.OnClose) {
		if err := f(ctx); err != nil {
			errs, failed = append(errs, err), append(failed, f)
		}
	}
	slices.Reverse(failed)
	n.OnClose = failed
	return errors.Join(errs...)
}

// Directory knows who is there. Package presence implements it over the network itself.
// Safe for concurrent use; no method but Announce and Register waits for the network.
type Directory interface {
	// Announce makes an instance known until leave is called, and keeps it known; announcing the same Service and ID
	// again replaces what was said.
	Announce(ctx context.Context, i Instance) (leave func(context.Context) error, err error)
	// Instances are those that are alive as far as this process knows, sorted by service and id.
	Instances() []Instance
	// Peers are the peers of the instances that answer calls to an address.
	Peers(address string) []string
	// Register makes a group known as a receiver of an address from now until it is removed. Registering twice is fine.
	Register(ctx context.Context, address, group string) error
	// Groups are the groups registered with an address, sorted; ok is false while that is not known yet.
	Groups(address string) (groups []string, ok bool)
}

// Faults make what a service talks through misbehave. Package transport/fault implements them by rules; what Parley
// itself sends and asks for is spared.
type Faults interface {
	Caller(c transport.Caller, service string) transport.Caller
	Broker(b transport.Broker, service string) transport.Broker
	// HandleError is what a handler of messages of an address fails with before it begins; nil = it does not.
	HandleError(service, address string) error
}

// Instance is one running instance of a service.
type Instance struct {
	Service  string      `json:"service"`
	ID       string      `json:"id"`            // unique among all instances
	Peer     string      `json:"peer,omitzero"` // where it answers calls; "" = nowhere
	Answers  []string    `json:"answers"`       // addresses of calls, and of operations that it owns
	Receives []Reception `json:"receives"`      // addresses of commands and events, with the group
	// Announces are the addresses of the events that belong to the APIs whose calls or commands it handles.
	Announces []string `json:"announces,omitzero"`
	// Operations are the addresses of the operations that it owns, and Journal identifies where it keeps them.
	Operations []string  `json:"operations,omitzero"`
	Journal    string    `json:"journal,omitzero"`
	Since      time.Time `json:"since"`
}

// Addresses are all addresses that i has to do with, sorted.
func (i Instance) Addresses() []string {
	all := slices.Concat(i.Answers, i.Announces)
	for _, r := range i.Receives {
		all = append(all, r.Address)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Reception is an address that an instance receives messages from, and for which group.
type Reception struct {
	Address string `json:"address"`
	Group   string `json:"group,omitzero"` // "" = a command
}
