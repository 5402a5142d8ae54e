package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// binary is the one under test.
var binary string

// TestMain is also the program of the processes that the tests of Cast start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "play" {
		play(os.Args[2], os.Args[3])
		return
	}
	dir, err := os.MkdirTemp("", "demo-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "parley")
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "../../cmd/parley").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build parley: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	err = errors.Join(os.RemoveAll(dir), goleak.Find())
	if code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// play is a process with a part.
func play(part, audience string) {
	switch part {
	case "calm": // is connected to its audience until it is told to end
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM)
		if _, err := new(net.Dialer).DialContext(context.Background(), "tcp", audience); err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
		<-told
	case "hopeless": // fails at once
		fmt.Println("no such luck")
		os.Exit(3)
	}
}
