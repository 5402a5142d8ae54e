package servers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const natsModule = "github.com/nats-io/nats-server/v2"

// installNATS answers the nats-server of the version that this module requires, and builds it where it is missing. The
// Go command is asked in the working directory, which is inside the module in tests and in make.
func installNATS(ctx context.Context, log io.Writer) (string, error) {
	dir, err := cache()
	if err != nil {
		return "", err
	}
	version, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", natsModule).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s, which tells the version, wants to run inside the module of Parley: %w", natsModule, err)
	}
	binary := filepath.Join(dir, "nats-server-"+string(bytes.TrimSpace(version)))
	missing := func() bool { return !exists(binary) }
	return binary, alone(ctx, missing, func() error {
		sayf(log, "go build %s into %s", natsModule, binary)
		unfinished := binary + ".new"
		if err := silent(exec.CommandContext(ctx, "go", "build", "-o", unfinished, natsModule)); err != nil { //nolint:gosec // into the cache
			return err
		}
		return os.Rename(unfinished, binary)
	})
}

// The ports of a NATS server.
const (
	natsClients = iota
	natsRoutes
	natsMonitor
)

// natsConf is the file of a NATS server's configuration.
const natsConf = "nats.conf"

// layNATS prepares a server with JetStream, each of whose confirmations comes after an fsync.
func (s *Server) layNATS(_ context.Context, binary string) error {
	if err := s.write(map[string]string{natsConf: lines(s.natsSettings(), ": ")}); err != nil {
		return err
	}
	s.programs = []program{{
		name: "nats", path: binary, args: []string{"-c", natsConf}, env: os.Environ(), ready: "Server is ready",
		address: s.layout.addresses(natsClients)[s.node],
	}}
	return nil
}

func (s *Server) natsSettings() map[string]string {
	settings := map[string]string{
		"listen":        s.layout.addresses(natsClients)[s.node],
		"server_name":   s.natsName(),
		"authorization": fmt.Sprintf("{user: parley, password: %q}", s.layout.password),
		"sync_interval": "always",
	}
	if !s.layout.alone() {
		settings["http"] = s.layout.addresses(natsMonitor)[s.node]
		settings["cluster"] = fmt.Sprintf("{name: parley, listen: %q, authorization: {user: route, password: %q}, routes: [%s]}",
			s.layout.addresses(natsRoutes)[s.node], s.layout.password, s.natsRoutes())
	}
	maps.Copy(settings, s.options.Settings)
	if settings["jetstream"] == "" {
		settings["jetstream"] = fmt.Sprintf("{store_dir: %q, sync_interval: %s}", filepath.Join(s.dir, "data"), settings["sync_interval"])
	}
	delete(settings, "sync_interval") // it stands inside of jetstream
	return settings
}

// Reload has a NATS server of this package read its configuration again, with these settings beside those of its options.
// When it returns, whom that does not allow any longer is disconnected.
func (s *Server) Reload(ctx context.Context, settings map[string]string) error {
	if err := s.ours("reload"); err != nil {
		return err
	}
	if s.kind != NATS {
		return fmt.Errorf("reloading settings is not for %s", s.kind)
	}
	all := maps.Clone(settings)
	for key, value := range s.options.Settings {
		if _, ok := all[key]; !ok {
			all[key] = value
		}
	}
	s.options.Settings = all
	const unfinished = natsConf + ".new"
	if err := s.write(map[string]string{unfinished: lines(s.natsSettings(), ": ")}); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(s.dir, unfinished), filepath.Join(s.dir, natsConf)); err != nil {
		return err
	}
	done := []byte("Reloaded server configuration")
	before := bytes.Count(s.main().said(), done)
	if err := s.main().signal(syscall.SIGHUP); err != nil {
		return err
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for bytes.Count(s.main().said(), done) == before {
		select {
		case <-ctx.Done():
			return fmt.Errorf("nats does not say that it has read %s again: %w; it says:\n%s", natsConf, ctx.Err(), excerpt(s.main().said()))
		case <-tick.C:
		}
	}
	return nil
}

// natsRoutes are the URLs by which the nodes find each other.
func (s *Server) natsRoutes() string {
	var routes []string
	for _, node := range s.layout.addresses(natsRoutes) {
		routes = append(routes, "nats-route://route:"+s.layout.password+"@"+node)
	}
	return strings.Join(routes, ", ")
}

func (s *Server) natsName() string {
	return fmt.Sprintf("parley-%d", s.layout.ports[s.node][natsClients])
}
