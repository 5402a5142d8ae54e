//go:build battery

package nats_test

import (
	"context"
	"testing"

	"github.com/parley-io/parley/internal/servers"
)

// newDisk is a disk that can lose its power, which needs root.
func newDisk(t *testing.T) *servers.Disk {
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
