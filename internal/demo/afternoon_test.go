package demo

import (
	"bytes"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-io/parley/examples/shop/shop"
	"github.com/parley-io/parley/internal/servers"
)

// One of the few tests with real time: processes can't have another one.
func TestTheShopMovesFromRabbitMQToKafkaByOneVariable(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "shop")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../examples/shop").CombinedOutput(); err != nil {
		t.Fatalf("build examples/shop: %v\n%s", err, out)
	}
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "outside"), 0o700); err != nil {
		t.Fatal(err)
	}
	afternoon := url.Values{"survives": {"process"}, "prefix": {"afternoon"}, "journal": {filepath.Join(data, "journal")}}
	before := 0
	for _, kind := range []servers.Kind{servers.RabbitMQ, servers.Kafka} {
		server, err := servers.Use(t.Context(), kind)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Stop(t.Context()) })
		args := append([]string{"-quick", "-orders", "5", "-for", "5s", "-journal", filepath.Join(data, "outside")}, shop.Services()...)
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "PARLEY_NETWORK="+server.URL+"?"+afternoon.Encode(), "PARLEY_RUNTIME_DIR="+t.TempDir())
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		orders := handledAll(t, filepath.Join(data, "outside"), before+20)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the shop on %s ended with %v; it said:\n%s", kind, err, &said)
		}
		if orders < before+20 {
			t.Errorf("%d orders have ended once the shop had run on %s; want 20 more than the %d before; it said:\n%s", orders, kind, before, &said)
		}
		before = orders
	}
}

// handledAll waits until so many orders at least have ended and all that was confirmed is handled, and answers how many
// have. It gives up after a minute.
func handledAll(t *testing.T, dir string, atLeast int) (ended int) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(100 * time.Millisecond) {
		o, err := ReadOutside(dir)
		if err != nil {
			if strings.Contains(err.Error(), "is not understood") {
				t.Fatal(err)
			}
			continue // not there yet
		}
		o.Joined = true // all services of the shop run
		begun := o.Begun()
		ended = len(begun) - len(o.Unfinished())
		if ended >= atLeast && ended == len(begun) && len(o.Lost()) == 0 {
			return ended
		}
	}
	t.Error("not all that was confirmed was handled within a minute")
	return ended
}
