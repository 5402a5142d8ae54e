//go:build !unix

package sqlite

import "errors"

// lock is not implemented: without it two processes would run the same operations.
func lock(string) (release func() error, err error) {
	return nil, errors.New("this system has no flock: run the owner of operations on Linux, macOS or BSD")
}
