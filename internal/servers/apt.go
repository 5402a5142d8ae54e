package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// packages are those of a Debian system.
type packages struct {
	policy string // file that package scripts ask before they start a service
	units  string // directory of the units that packages bring
	user   int    // who installs; 0 may
}

func system() packages {
	return packages{policy: "/usr/sbin/policy-rc.d", units: "/lib/systemd/system", user: os.Geteuid()}
}

// services are the units of what is installed here. Servers are started by this package and not by them.
var services = []string{"rabbitmq-server.service", "epmd.service", "epmd.socket"}

// install installs packages, and leaves none of their services running or enabled.
func (p packages) install(ctx context.Context, log io.Writer, names ...string) error {
	byHand := "apt-get update && apt-get install -y --no-install-recommends " + strings.Join(names, " ")
	if !onPath("apt-get") {
		return fmt.Errorf("this system has no apt-get; install by its own means what Debian calls %s", strings.Join(names, ", "))
	}
	if p.user != 0 {
		return fmt.Errorf("only root may install packages; run: sudo sh -c '%s'", byHand)
	}
	lift, err := p.forbidServices()
	if err != nil {
		return err
	}
	sayf(log, "apt-get install %s", strings.Join(names, " "))
	install := append([]string{"install", "-y", "--no-install-recommends"}, names...)
	err = aptGet(ctx, install...)
	if err != nil && ctx.Err() == nil {
		sayf(log, "apt-get update, and again: the lists may be missing or old")
		if err = aptGet(ctx, "update"); err == nil {
			err = aptGet(ctx, install...)
		}
	}
	if err = errors.Join(err, p.disable(ctx, log), lift()); err != nil {
		return fmt.Errorf("by hand: %s: %w", byHand, err)
	}
	return nil
}

func aptGet(ctx context.Context, args ...string) error {
	// Another apt-get, of a person or of a machine that has just booted, is waited for.
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q", "-o", "DPkg::Lock::Timeout=300"}, args...)...) //nolint:gosec // constants of this package
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return silent(cmd)
}

// forbidServices keeps package scripts from starting services until lift. A policy that is there already is left as it
// is; should it permit, disable ends what was started.
func (p packages) forbidServices() (lift func() error, err error) {
	f, err := os.OpenFile(p.policy, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755) //nolint:gosec // it is a program
	if errors.Is(err, os.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	lift = func() error { return os.Remove(p.policy) }
	_, err = f.WriteString("#!/bin/sh\nexit 101 # action forbidden by policy\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, lift())
	}
	return lift, nil
}

// disable ends the services that packages brought, and keeps them from coming with the next boot.
func (p packages) disable(ctx context.Context, log io.Writer) error {
	if !onPath("systemctl") {
		return nil // no systemd: the policy was all there is
	}
	for _, unit := range services {
		if !exists(filepath.Join(p.units, unit)) {
			continue
		}
		sayf(log, "systemctl disable %s: the package's own service is not used", unit)
		if err := silent(exec.CommandContext(ctx, "systemctl", "disable", unit)); err != nil { //nolint:gosec // constants of this package
			return err
		}
		_ = exec.CommandContext(ctx, "systemctl", "stop", unit).Run() //nolint:gosec // fails where systemd does not run, and nothing with it
	}
	return nil
}
