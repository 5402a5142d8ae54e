//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// together makes the end of cmd the end of everything that it starts: the go command leaves the test that it runs alone.
func together(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}
