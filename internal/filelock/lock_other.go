//go:build !unix

package filelock

import "errors"

// Lock has no means on this system, and says so: without it two processes would ruin what one of them owns.
func Lock(string) (release func() error, err error) {
	return nil, errors.New("this system has no flock; Linux, macOS and BSD have")
}
