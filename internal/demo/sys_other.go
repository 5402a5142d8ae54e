//go:build !linux

package demo

import "syscall"

// attributes are none where a process cannot be tied to the life of another.
func attributes() *syscall.SysProcAttr { return nil }
