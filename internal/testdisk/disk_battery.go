//go:build battery

package testdisk

import (
	"context"
	"testing"

	"github.com/parley-io/parley/internal/servers"
)

// New is a disk that is removed with t.
func New(t *testing.T) *servers.Disk {
	t.Helper()
	d, err := servers.NewDisk(t.Context(), t.TempDir())
	if err != nil {
		t.Fatalf("making a disk: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Remove(context.Background()); err != nil {
			t.Errorf("removing the disk: %v", err)
		}
	})
	return d
}
