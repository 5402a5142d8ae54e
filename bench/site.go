package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parley-io/parley/internal/servers"
)

// embeddedSite is the network that needs no server.
const embeddedSite = "embedded"

// site is a network on which messages are measured.
type site struct {
	name   string // in tables
	scheme string
	url    string // "" = each client has one of its own in its process
}

// row is the name of one client's figures in one respect.
func (s site) row(title string, k kind) string {
	b, _ := brandOf(s.scheme, k)
	return s.name + " " + title + ", " + cmp.Or(b.name, string(k))
}

// apart is the same network, but for what Parley makes there: that is kept apart from what it makes elsewhere in this run.
// A network of a process is apart by itself.
func (s site) apart() site {
	u, err := url.Parse(s.url)
	if err != nil || s.url == "" {
		return s
	}
	q := u.Query()
	q.Set("prefix", cmp.Or(q.Get("prefix"), "bench")+"-"+strings.ToLower(rand.Text()[:6]))
	u.RawQuery = q.Encode()
	s.url = u.String()
	return s
}

// siteNames are what -network takes, apart from URLs.
func siteNames() []string {
	names := []string{embeddedSite}
	for _, kind := range servers.Kinds() {
		names = append(names, string(kind))
	}
	return names
}

// checkNetwork reports what is wrong with a value of -network.
func checkNetwork(value string) error {
	if strings.Contains(value, "://") {
		u, err := url.Parse(value)
		if err != nil {
			return errors.New("-network: that is no URL") // the error would have the password
		}
		if brands(u.Scheme) == nil || u.Scheme == embeddedSite {
			return fmt.Errorf("-network %s: want amqp://, kafka:// or nats://", u.Redacted())
		}
		return nil
	}
	for _, name := range strings.Split(value, ",") {
		if name != "all" && !slices.Contains(siteNames(), name) {
			return fmt.Errorf("-network %q: want some of %s joined by commas, all, or a URL", value, strings.Join(siteNames(), ", "))
		}
	}
	return nil
}

// on reports whether -network names a site.
func (c config) on(name string) bool {
	return slices.ContainsFunc(strings.Split(c.network, ","), func(s string) bool { return s == name || s == "all" })
}

// eachSite calls f with the networks that are to be measured, one after the other.
func eachSite(ctx context.Context, c config, say func(string, ...any), f func(context.Context, site) error) error {
	if u, err := url.Parse(c.network); err == nil && u.Scheme != "" {
		name := u.Scheme
		if name == "amqp" {
			name = string(servers.RabbitMQ)
		}
		return f(ctx, site{name: name, scheme: u.Scheme, url: c.network})
	}
	for _, name := range siteNames() {
		if !c.on(name) {
			continue
		}
		if name == embeddedSite {
			if err := f(ctx, site{name: name, scheme: embeddedSite}); err != nil {
				return err
			}
			continue
		}
		if err := onServer(ctx, c, servers.Kind(name), say, f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// onServer calls f with a server of the kind: the one that the environment names, else one that is started.
func onServer(ctx context.Context, c config, kind servers.Kind, say func(string, ...any), f func(context.Context, site) error) (err error) {
	var server *servers.Server
	if os.Getenv(kind.Variable()) != "" {
		server, err = servers.Use(ctx, kind)
	} else {
		say("starting %s", kind)
		server, err = servers.Start(ctx, kind, servers.Options{Dir: filepath.Join(c.dir, string(kind))})
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop(context.WithoutCancel(ctx))) }()
	u, err := url.Parse(server.URL)
	if err != nil {
		return errors.New("the server's URL is none")
	}
	return f(ctx, site{name: string(kind), scheme: u.Scheme, url: server.URL})
}
