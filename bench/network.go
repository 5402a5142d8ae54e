package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
)

// Whether the clients of an order write to the ledger.
const (
	ledgerOn  = "on"
	ledgerOff = "off"
)

// broker is the process that owns an embedded network which others join: its broker and its collector.
type broker struct{ net *parley.Network }

func startBroker(ctx context.Context, s setup) (actor, string, error) {
	token := rand.Text()
	var shared string
	n, err := openNetwork(ctx, embeddedURL(s.Dir), "network",
		network.WithSharing("127.0.0.1:0", token, func(url string) { shared = url }))
	if err != nil {
		return nil, "", err
	}
	u, err := url.Parse(shared)
	if err != nil {
		return nil, "", errors.Join(err, n.Close(ctx))
	}
	u.User = url.User(token)
	u.RawQuery = url.Values{"survives": {"power"}}.Encode() // an embedded broker syncs, and no client can see that
	return &broker{n}, u.String(), nil
}

func (b *broker) do(context.Context, order) (figures, error) {
	return figures{}, errors.New("a network takes no orders")
}

func (b *broker) close(ctx context.Context) error { return b.net.Close(ctx) }

func embeddedURL(dir string) string { return "embedded://" + dir }

// openConsenting opens the network of an address and accepts what a confirmation of its server survives: that is the same
// for all who are compared.
func openConsenting(ctx context.Context, address string, options ...network.Option) (*parley.Network, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != embeddedSite {
		consent := u.Query()
		consent.Set("survives", "process")
		u.RawQuery = consent.Encode()
	}
	return openNetwork(ctx, u.String(), "bench", options...)
}

func openNetwork(ctx context.Context, url, source string, options ...network.Option) (*parley.Network, error) {
	warn := network.WithWarn(func(line string) { fmt.Fprintln(os.Stderr, "broker:", line) })
	return network.Open(ctx, url, append(options, network.WithSource(source), warn)...)
}

// newClient makes a client that does not say on standard error that it serves.
func newClient(name string, n *parley.Network) (*parley.Client, error) {
	return parley.NewClient(name, n, silently())
}

func silently() parley.ClientOption { return parley.WithLogger(slog.New(slog.DiscardHandler)) }

// bothClients are one that writes to the ledger and one that does not, on the same network.
func bothClients(name string, n *parley.Network) (on, off *parley.Client, err error) {
	if on, err = newClient(name, n); err != nil {
		return nil, nil, err
	}
	off, err = newClient(name, withoutLedger(n))
	return on, off, err
}

// withoutLedger is the same network where nothing is recorded.
func withoutLedger(n *parley.Network) *parley.Network {
	return &parley.Network{Name: n.Name, Calls: n.Calls, Messages: n.Messages, Operator: n.Operator, Directory: n.Directory}
}

// ledgerStats counts the transitions that this process was to record so far, and those of them that it dropped.
func ledgerStats(n *parley.Network) (recorded, dropped uint64) {
	if w, ok := n.Recorder.(interface{ Stats() (uint64, uint64) }); ok {
		return w.Stats()
	}
	return 0, 0
}
