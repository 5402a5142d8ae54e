//go:build unix

package transporttest

import (
	"os"
	"syscall"
)

// freeze stops a process where it is, without its knowledge.
func freeze(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

// thaw lets it go on.
func thaw(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
