package demo

import "syscall"

// attributes put a process into a group of its own, which the terminal's Ctrl-C does not reach, and end it with the
// thread that started it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
