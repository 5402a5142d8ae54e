package demo

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The broker's process holds a lock on its data for as long as it lives, and so tells how long that is.
func TestNothingSurvivesADemoThatIsKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	cmd, _ := begin(t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("a demo that was killed ended with exit code 0")
	}
	free(t, dir)
}

// free waits until no process owns the broker's data.
func free(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "broker", "parley.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Error(err)
	}
}
