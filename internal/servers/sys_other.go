//go:build !linux

package servers

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// attributes put a server into a group or session of its own. It outlives a killed parent here, detached or not.
func attributes(detached bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: !detached, Setsid: detached}
}

// began is when a process began, to the second. One that has ended and was not waited for yet is an error like one that
// there is not.
func began(pid int) (string, error) {
	state, at, err := status(pid)
	if err != nil || strings.HasPrefix(state, "Z") {
		return "", fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
	}
	return at, nil
}

// stopped tells whether a process is stopped by a signal.
func stopped(pid int) bool {
	state, _, err := status(pid)
	return err == nil && strings.HasPrefix(state, "T")
}

func status(pid int) (state, began string, err error) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec,noctx // ends by itself
	state, began, _ = strings.Cut(strings.TrimSpace(string(out)), " ")
	return state, strings.TrimSpace(began), err
}
