package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parley-io/parley/internal/filelock"
)

// Install brings what the kinds need and this machine lacks: packages of the system by apt-get, Kafka's jars by Maven
// into the user's cache, nats-server by the Go command into the same. One process installs at a time; the others wait.
// Without kinds it does all of them. log gets a line for each step; nil means nowhere.
func Install(ctx context.Context, log io.Writer, kinds ...Kind) error {
	if len(kinds) == 0 {
		kinds = Kinds()
	}
	if log == nil {
		log = io.Discard
	}
	var failed []error
	for _, kind := range kinds {
		if _, err := kind.install(ctx, log); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// cache is the user's directory for what was installed; it exists.
func cache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no directory for what is installed; set HOME or XDG_CACHE_HOME: %w", err)
	}
	dir = filepath.Join(dir, "parley")
	return dir, os.MkdirAll(dir, 0o750)
}

// alone runs install while no other process does, and again asks missing first: the one before may have done it.
func alone(ctx context.Context, missing func() bool, install func() error) error {
	if !missing() {
		return nil
	}
	dir, err := cache()
	if err != nil {
		return err
	}
	release, err := lock(ctx, filepath.Join(dir, "install.lock"))
	if err != nil {
		return err
	}
	if missing() {
		err = install()
	}
	return errors.Join(err, release())
}

// lock waits for a lock that another process has.
func lock(ctx context.Context, path string) (release func() error, err error) {
	for {
		release, err = filelock.Lock(path)
		if _, held := errors.AsType[*filelock.Held](err); !held {
			return release, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another installation: %w: %w", err, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func onPath(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// sayf writes a line of progress, which is no reason to fail where it can't.
func sayf(log io.Writer, format string, v ...any) { _, _ = fmt.Fprintf(log, format+"\n", v...) }

// output runs a command and is what it said; the error has an excerpt.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w; it said:\n%s", strings.Join(cmd.Args, " "), err, excerpt(out))
	}
	return string(out), nil
}

// silent runs a command whose output matters only where it fails.
func silent(cmd *exec.Cmd) error {
	_, err := output(cmd)
	return err
}

// excerpt is what matters to a reader of what a program said before it failed: the lines from the first that speaks of an
// error, else the last ones.
func excerpt(b []byte) string {
	const most = 20
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	isError := func(line string) bool { return strings.Contains(strings.ToLower(line), "error") }
	if first := slices.IndexFunc(all, isError); first >= 0 {
		return strings.Join(all[first:min(len(all), first+most)], "\n")
	}
	return strings.Join(all[max(0, len(all)-most):], "\n")
}
