package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger/collector"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/presence"
)

const (
	source     = "cli" // how a command calls itself on a network
	openLimit  = 10 * time.Second
	closeLimit = 2 * time.Second
)

// session is a command on a network.
type session struct {
	net    *parley.Network
	client *parley.Client
}

// work is what a command does on a network.
type work func(ctx context.Context, s *session, args []string) error

// on makes a command that opens the network, does its work, and closes it again.
func (a *app) on(do work) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) (err error) {
		s, err := a.open(c.Context())
		if err != nil {
			return err
		}
		defer func() {
			closing, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), closeLimit)
			defer cancel()
			err = errors.Join(err, s.net.Close(closing))
		}()
		return do(c.Context(), s, args)
	}
}

// within bounds work by --timeout, else by limit; 0 = until it is interrupted.
func (a *app) within(limit time.Duration, do work) work {
	return func(ctx context.Context, s *session, args []string) error {
		ctx, cancel := a.bound(ctx, limit)
		defer cancel()
		return do(ctx, s, args)
	}
}

func (a *app) bound(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if a.timeout > 0 {
		limit = a.timeout
	}
	if limit > 0 {
		return context.WithTimeout(ctx, limit)
	}
	return context.WithCancel(ctx)
}

// open opens the network that is meant. No command but `parley dev` becomes the owner of a broker.
func (a *app) open(ctx context.Context) (*session, error) {
	where, err := a.where()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, openLimit, fmt.Errorf("gave up after %v", openLimit))
	defer cancel()
	options, flush, err := a.telemetry(ctx, source)
	if err != nil {
		return nil, err
	}
	options = append(options, network.WithSource(source), network.WithoutWaiting())
	if a.verbose {
		options = append(options, network.WithNotice(func(line string) { a.note("%s", line) }))
	}
	n, err := network.Open(ctx, where, options...)
	if err != nil {
		return nil, notOpened(err)
	}
	client, err := parley.NewClient(source, n)
	if err != nil {
		return nil, errors.Join(err, n.Close(ctx))
	}
	n.OnClose = slices.Insert(n.OnClose, 0, func(context.Context) error { flush(); return nil }) // the last to be called
	return &session{net: n, client: client}, nil
}

// where is the URL to open; "" = that of the running parley dev, and there is one.
func (a *app) where() (string, error) {
	where, err := a.named()
	if where != "" || err != nil {
		return where, err
	}
	_, ok, err := network.ReadRuntime()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", &failure{err: err, exit: exitUnreachable}
	}
	if !ok {
		return "", &failure{exit: exitUnreachable, try: "parley dev",
			err: errors.New("no network: no parley dev of this user runs, and neither --network nor PARLEY_NETWORK is set")}
	}
	return "", nil
}

// named is the URL of the network that --network or PARLEY_NETWORK names, if any. A broker inside one process is no
// network for a command.
func (a *app) named() (string, error) {
	where, from := a.network, "--network"
	if where == "" {
		where, from = os.Getenv("PARLEY_NETWORK"), "PARLEY_NETWORK"
	}
	if inside(where) {
		return "", &failure{exit: exitUsage, try: "parley dev --data DIR",
			err: fmt.Errorf("%s: a broker inside one process, on which this command would be alone", from)}
	}
	return where, nil
}

// elsewhere is the URL of --network, which must be that of a broker that runs already; "" = not given.
func (a *app) elsewhere() (string, error) {
	switch {
	case a.network == "":
		return "", nil
	case inside(a.network):
		return "", usage(errors.New("--network: want a broker that runs already; without it there is an embedded one, and --data says where"))
	}
	if err := network.Check(a.network); err != nil {
		return "", fmt.Errorf("--network: %w", err)
	}
	return a.network, nil
}

// inside reports whether the broker of a network is a part of the process that opens it.
func inside(url string) bool {
	return strings.HasPrefix(url, "embedded:") || strings.HasPrefix(url, "mem:")
}

// notOpened is why a network could not be opened.
func notOpened(err error) error {
	f := &failure{err: err, exit: exitOf(err), try: "parley dev"}
	if f.exit == exitFailed && parley.CodeOf(err) == parley.Unknown {
		f.exit = exitUnreachable
	}
	if f.exit != exitUnreachable {
		f.try = ""
	}
	return f
}

// directory is who is there, with what only presence knows.
func (s *session) directory() (*presence.Presence, error) {
	p, ok := s.net.Directory.(*presence.Presence)
	if !ok {
		return nil, fmt.Errorf("the network %s has no presence", s.net.Name)
	}
	return p, nil
}

// collected asks one collector after the other, until one answers.
func collected[T any](ctx context.Context, s *session, ask func(peer string) (T, error)) (answer T, err error) {
	missing := *parley.ErrNoCollector
	missing.Message = "nothing collects trails on " + s.net.Name
	err = &missing
	for _, peer := range s.net.Directory.Peers(collector.FollowAddress) {
		answer, err = ask(peer)
		if parley.CodeOf(err) != parley.Unavailable || ctx.Err() != nil {
			break
		}
	}
	return answer, err
}
