//go:build unix

package filelock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Lock takes the lock of a file, which it makes where it is missing, until release or until the process ends in whatever
// way. Where somebody has it, it answers [Held] at once.
func Lock(path string) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the caller names it
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &Held{owner(f)}
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err := errors.Join(f.Truncate(0), second(f.WriteAt([]byte(pid), 0))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		// To close f is not enough: a child process that is just being started holds it too, for a moment.
		return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
	}, nil
}

func second(_ int, err error) error { return err }

// owner is who wrote the lock file, in words.
func owner(f *os.File) string {
	b, _ := io.ReadAll(io.LimitReader(f, 32)) // an unreadable owner is told as unknown
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return "another process"
	}
	if pid == os.Getpid() {
		return "this process (pid " + strconv.Itoa(pid) + ")"
	}
	return "process " + strconv.Itoa(pid)
}
