//go:build !unix

package embedded

import (
	"errors"
	"os"
)

// lock is not implemented: without it two processes would ruin one directory.
func lock(string) (*os.File, error) {
	return nil, errors.New("this system has no flock: run a NATS server and connect to it")
}
