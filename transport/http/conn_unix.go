//go:build unix

package http

import "syscall"

// peek looks at what the socket would read, without reading or waiting.
func (c *conn) peek(fd uintptr) {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	c.stands = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}
