package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport/transporttest"
)

// embeddedNetwork is the one whose broker is a child of this program.
const embeddedNetwork = "embedded"

// site is a broker of its own: one of server, cluster and daemon.
type site struct {
	network string
	server  *servers.Server
	cluster *servers.Cluster
	daemon  *transporttest.Daemon
	dir     string // of daemon
	proxied string // host:port under which clients reach it; "" = its own
}

// openSite starts a broker. Its clients are to reach it under the address proxied, if that is not "".
func openSite(ctx context.Context, network string, cluster bool, proxied string, log io.Writer) (*site, error) {
	s := &site{network: network, proxied: proxied}
	var err error
	switch {
	case network == embeddedNetwork && cluster:
		return nil, errors.New("an embedded broker is no cluster; want nats, rabbitmq or kafka")
	case network == embeddedNetwork:
		if s.dir, err = os.MkdirTemp("", "parley-embedded-"); err != nil {
			return nil, err
		}
		s.daemon = &transporttest.Daemon{Role: []string{"broker", s.data(), "127.0.0.1:0"}}
		err = s.daemon.Start(ctx)
	case cluster:
		s.cluster, err = servers.StartCluster(ctx, servers.Kind(network), servers.Options{Log: log})
	default:
		s.server, err = servers.Start(ctx, servers.Kind(network), servers.Options{Log: log, Advertise: proxied})
	}
	if err != nil {
		return nil, fmt.Errorf("starting the broker: %w", err)
	}
	return s, nil
}

// data is the directory of what a daemon stores; beside it is data.log, of what it says.
func (s *site) data() string { return filepath.Join(s.dir, "data") }

// address is host:port of the broker itself.
func (s *site) address() (string, error) {
	if s.daemon != nil {
		return s.daemon.Address, nil
	}
	u, err := url.Parse(s.server.URL)
	if err != nil {
		return "", err
	}
	return u.Host, nil
}

// url is the network for clients.
func (s *site) url() string {
	switch {
	case s.cluster != nil && s.network == string(servers.RabbitMQ):
		return s.cluster.URL + "?survives=process"
	case s.cluster != nil:
		return s.cluster.URL + "?replicas=3&survives=node"
	}
	consent := "?survives=process"
	var own string
	if s.daemon != nil {
		own = "nats://" + token + "@" + s.daemon.Address
	} else {
		own = s.server.URL
	}
	if s.daemon != nil || s.network == string(servers.NATS) {
		consent = "?survives=power" // both sync always
	}
	if s.proxied != "" {
		if at, err := s.address(); err == nil {
			own = strings.Replace(own, at, s.proxied, 1)
		}
	}
	return own + consent
}

func (s *site) kill(ctx context.Context) error {
	if s.daemon != nil {
		return s.daemon.Kill(ctx)
	}
	return s.server.Kill()
}

// restart returns when the broker serves again.
func (s *site) restart(ctx context.Context) error {
	if s.daemon != nil {
		return s.daemon.Start(ctx)
	}
	return s.server.Restart(ctx)
}

// stop ends the broker and removes what it stored; its logs are kept where failed says so.
func (s *site) stop(ctx context.Context, failed bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	switch {
	case s.daemon != nil:
		remove := s.dir
		if failed {
			remove = s.data() // and not what is beside it
		}
		return errors.Join(s.daemon.Kill(ctx), os.RemoveAll(remove))
	case s.cluster != nil:
		s.cluster.KeepLogs(failed)
		return s.cluster.Stop(ctx)
	}
	s.server.KeepLogs = failed
	return s.server.Stop(ctx)
}
