package servers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// attributes put a server into a group of its own, which the terminal's Ctrl-C does not reach, and end it with the
// thread that started it, unless it is detached: then it has a session of its own.
func attributes(detached bool) *syscall.SysProcAttr {
	if detached {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// began is when a process began, in ticks since the system did. One that has ended and was not waited for yet is an
// error like one that there is not.
func began(pid int) (string, error) {
	state, at, err := status(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil && (state == "Z" || state == "X") {
		err = fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
	}
	return at, err
}

// stopped tells whether all threads of a process are stopped by a signal, which takes its time on a busy machine.
func stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	return err == nil && len(threads) > 0 && !slices.ContainsFunc(threads, func(file string) bool {
		state, _, err := status(file)
		return err == nil && state != "T" // a thread that has just ended is an error
	})
}

// status reads "PID (NAME) STATE …", where the name may hold anything and the beginning is the 22nd word; see proc(5).
func status(file string) (state, began string, err error) {
	b, err := os.ReadFile(file) //nolint:gosec // of the kernel
	if err != nil {
		return "", "", err
	}
	words := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(words) < 20 {
		return "", "", fmt.Errorf("%s: %q is no status of a process", file, b)
	}
	return words[0], words[19], nil
}
