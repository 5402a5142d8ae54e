package transporttest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// roleVariable of the environment makes a program that calls [Play] a child process.
const roleVariable = "PARLEY_TRANSPORTTEST_ROLE"

// Child is this program as a child process in a role, not started yet. The program calls [Play] first of all.
func Child(ctx context.Context, role ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	cmd := exec.CommandContext(ctx, self) //nolint:gosec // this program itself
	cmd.Env = append(os.Environ(), roleVariable+"="+strings.Join(role, "\n"))
	cmd.Stderr = os.Stderr
	_, _ = cmd.StdinPipe() // open as long as this process lives; it fails only where Stdin is set
	return cmd
}

// Play does nothing in a program that is no [Child]. In a child it plays the role and ends the process: with code 1
// after an error. The context ends with SIGTERM, and with the parent, so that no child outlives it.
func Play(play func(ctx context.Context, role []string) error) {
	role := os.Getenv(roleVariable)
	if role == "" {
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := play(ctx, strings.Split(role, "\n")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Daemon is a broker in a child process. It says its address on the first line of its standard output once it serves.
// Not for concurrent use.
type Daemon struct {
	// Role is that of the [Child]. Its last word is where to listen: a host and the port 0, in the place of which the daemon
	// is told one that is free; after the first start, the address that was said.
	Role    []string
	Address string
	running *exec.Cmd
}

// Start runs the daemon and returns when it serves. ctx does not end it.
func (d *Daemon) Start(ctx context.Context) error {
	last := len(d.Role) - 1
	listen := d.Address
	if listen == "" {
		var err error
		if listen, err = free(ctx, d.Role[last]); err != nil {
			return err
		}
	}
	cmd := Child(context.WithoutCancel(ctx), append(d.Role[:last:last], listen)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the broker ended before it served: %w: %w", err, cmd.Wait())
	}
	d.running, d.Address = cmd, strings.TrimSpace(said)
	return nil
}

// Ports of daemons are below those that Linux (from 32768) and others give to whoever connects to somewhere: who is away
// for a while must find its own free when it comes back.
const (
	firstPort = 10000
	lastPort  = 17999
)

// free is address with a port that nobody listens at in the place of 0. Any other address it leaves alone.
func free(ctx context.Context, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != "0" {
		return address, err
	}
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		address = net.JoinHostPort(host, strconv.Itoa(port))
		var l net.Listener
		if l, err = new(net.ListenConfig).Listen(ctx, "tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", err
}

// Process is the one that runs.
func (d *Daemon) Process() *os.Process { return d.running.Process }

// Kill ends the daemon with SIGKILL.
func (d *Daemon) Kill(context.Context) error {
	if err := d.running.Process.Kill(); err != nil {
		return err
	}
	_ = d.running.Wait() // says that it was killed
	return nil
}

// Down is Kill, and Start afterwards, for [Site.Down].
func (d *Daemon) Down(ctx context.Context) (up func(context.Context) error, err error) {
	return d.Start, d.Kill(ctx)
}

// Restart is Kill and Start, for [Site.Kill].
func (d *Daemon) Restart(ctx context.Context) error {
	if err := d.Kill(ctx); err != nil {
		return err
	}
	return d.Start(ctx)
}
