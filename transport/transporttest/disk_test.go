//go:build !battery

package transporttest_test

import (
	"testing"

	"github.com/parley-io/parley/internal/servers"
)

// newDisk is none: only the long suites have a disk that can lose its power.
func newDisk(*testing.T) *servers.Disk { return nil }
