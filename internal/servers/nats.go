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

// layNATS prepares a server with JetStream, each of whose confirmations comes after an fsync.
func (s *Server) layNATS(_ context.Context, binary string) error {
	clients := s.layout.addresses(natsClients)[s.node]
	settings := map[string]string{
		"listen":        clients,
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
	if err := s.write(map[string]string{"nats.conf": lines(settings, ": ")}); err != nil {
		return err
	}
	s.programs = []program{{
		name: "nats", path: binary, args: []string{"-c", "nats.conf"}, env: os.Environ(), ready: "Server is ready", address: clients,
	}}
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
