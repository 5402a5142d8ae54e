//go:build !linux && !darwin && !freebsd

package embedded

import "errors"

// roomOf looks at the disk of a directory.
func roomOf(string) (room, error) { return room{}, errors.ErrUnsupported }
