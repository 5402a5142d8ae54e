//go:build !battery

package testdisk

import (
	"testing"

	"github.com/parley-io/parley/internal/servers"
)

// New is nil: only the long suites have a disk.
func New(*testing.T) *servers.Disk { return nil }
