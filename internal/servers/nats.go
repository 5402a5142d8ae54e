package servers

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// layNATS prepares a server with JetStream, each of whose confirmations comes after an fsync.
func (s *Server) layNATS(ctx context.Context, binary string) error {
	ports, err := freePorts(ctx, 1)
	if err != nil {
		return err
	}
	password := rand.Text()
	settings := map[string]string{
		"listen":        address(ports[0]),
		"server_name":   "parley-" + strconv.Itoa(ports[0]),
		"authorization": fmt.Sprintf("{user: parley, password: %q}", password),
		"sync_interval": "always",
	}
	maps.Copy(settings, s.options.Settings)
	if settings["jetstream"] == "" {
		settings["jetstream"] = fmt.Sprintf("{store_dir: %q, sync_interval: %s}", filepath.Join(s.dir, "data"), settings["sync_interval"])
	}
	delete(settings, "sync_interval") // it stands inside of jetstream
	if err := s.write(map[string]string{"nats.conf": lines(settings, ": ")}); err != nil {
		return err
	}
	s.URL = "nats://parley:" + password + "@" + address(ports[0])
	s.programs = []program{{
		name: "nats", path: binary, args: []string{"-c", "nats.conf"}, env: os.Environ(), ready: "Server is ready", address: address(ports[0]),
	}}
	return nil
}
