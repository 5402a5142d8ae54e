//go:build !unix

package network

import (
	"io/fs"
	"os"
)

// ownedByUser is true: the directories for temporary files belong to one user on these systems.
func ownedByUser(fs.FileInfo) bool { return true }

// alive reports whether a process exists.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	p, err := os.FindProcess(pid) // fails where nothing has that number
	if err != nil {
		return false
	}
	_ = p.Release() // frees a handle
	return true
}
