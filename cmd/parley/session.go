package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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
	options = append(options, network.WithSource(source))
	if a.verbose {
		options = append(options, network.WithNotice(func(line string) { a.note("%s", line) }))
	}
	n, err := network.Open(ctx, where, options...)
	if err != nil {
		exit := exitUnreachable
		if strings.Contains(err.Error(), "Authorization Violation") { // in the words of NATS; the driver passes on no code
			exit = exitAuth
		}
		return nil, &failure{err: err, exit: exit, try: "parley dev"}
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
	where, from := a.network, "--network"
	if where == "" {
		where, from = os.Getenv("PARLEY_NETWORK"), "PARLEY_NETWORK"
	}
	if where != "" {
		switch u, err := url.Parse(where); {
		case err != nil:
			return "", usage(fmt.Errorf("%s: not a URL; want nats://[TOKEN@]HOST:PORT", from))
		case u.Scheme == "embedded" || u.Scheme == "mem":
			return "", &failure{exit: exitUsage, try: "parley dev --data DIR",
				err: fmt.Errorf("%s: %s:// is a broker inside one process, and this command would be alone on it", from, u.Scheme)}
		case u.Scheme != "nats" || u.Host == "":
			return "", usage(fmt.Errorf("%s: scheme %q, host %q; want nats://[TOKEN@]HOST:PORT", from, u.Scheme, u.Host))
		}
		return where, nil
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
