package servers_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-io/parley/internal/servers"
)

// loopback are 127.0.0.1, the same mapped into IPv6, which Java uses, and ::1, as the kernel writes them.
var loopback = []string{"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}

func TestListenersOfThisMachineAreSeen(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	self := servers.Record{Processes: []servers.Process{{Name: "this test", PID: os.Getpid()}}}
	if outside := listeners(t, self); len(outside) != 1 {
		t.Errorf("listeners outside of the loopback = %v; want the one of this test", outside)
	}
}

// listeners are the sockets of a server's processes that listen elsewhere than on the loopback.
func listeners(t *testing.T, r servers.Record) (outside []string) {
	t.Helper()
	for _, p := range r.Processes {
		own := sockets(t, p.PID)
		seen := 0
		for _, words := range listening(t) { // number, local address, remote address, state, …, inode; see proc(5), /proc/net/tcp
			if local, _, _ := strings.Cut(words[1], ":"); own[words[9]] {
				seen++
				if !slices.Contains(loopback, local) {
					outside = append(outside, p.Name+" "+words[1])
				}
			}
		}
		if seen == 0 {
			t.Errorf("%s, process %d, has no listening socket; want one", p.Name, p.PID)
		}
	}
	return outside
}

// sockets are the inodes of a process' sockets.
func sockets(t *testing.T, pid int) map[string]bool {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, link := range links {
		to, _ := os.Readlink(link) // fails for one that has been closed meanwhile
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return own
}

// listening are the rows of this machine's listening sockets.
func listening(t *testing.T) (rows [][]string) {
	t.Helper()
	const state = "0A"
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil && !os.IsNotExist(err) { // the latter: no IPv6
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if words := strings.Fields(line); len(words) >= 10 && words[3] == state {
				rows = append(rows, words)
			}
		}
	}
	return rows
}
