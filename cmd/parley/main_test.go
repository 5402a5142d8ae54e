package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/parley-io/parley/transport/nats/embedded"
)

// TestMain makes two programs of the test binary: parley itself and a service for it to talk to.
func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){"parley": main, "kitchen": kitchenMain})
}

// leakless is a test run after which no goroutine is left.
type leakless struct{ m *testing.M }

func (l leakless) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// patience bounds what a script waits for: it fails then, and does not hang.
const patience = 20 * time.Second

func TestScripts(t *testing.T) {
	t.Parallel()
	work, err := os.MkdirTemp(memoryDir(), "parley-scripts-") //nolint:usetesting // t.TempDir would be on the disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // once the last script has ended
		if err := os.RemoveAll(work); err != nil {
			t.Error(err)
		}
	})
	testscript.Run(t, testscript.Params{
		Dir:         filepath.Join("testdata", "script"),
		WorkdirRoot: work,
		Setup: func(e *testscript.Env) error {
			run := filepath.Join(e.WorkDir, ".run") // never a parley dev that happens to run
			e.Setenv("PARLEY_RUNTIME_DIR", run)
			e.Setenv("PARLEY_NETWORK", "")
			e.Setenv("USER", "tester")
			e.Values[processes{}] = make(map[string]*process)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": cmdStart, "end": cmdEnd, "exits": cmdExits, "capture": cmdCapture,
			"broker": cmdBroker, "large": cmdLarge, "http": cmdHTTP, "eventually": cmdEventually, "golden": cmdGolden,
		},
	})
}

// processes is the key of a script's running processes.
type processes struct{}

type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
}

// cmdStart is "start NAME PROGRAM ARG…": it runs a program in the background and waits for its first line on standard
// output, which says that it is ready and is kept in the file NAME.out.
func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME PROGRAM ARG…")
	}
	running := ts.Value(processes{}).(map[string]*process)
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	c := exec.Command(path, args[2:]...)
	c.Args[0] = args[1]
	c.Dir = ts.MkAbs(".")
	for _, name := range []string{"PARLEY_RUNTIME_DIR", "PARLEY_NETWORK", "USER", "WORK", "HOME", "TMPDIR"} {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	log, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	c.Stderr = log
	out, err := c.StdoutPipe()
	ts.Check(err)
	ts.Check(c.Start())
	p := &process{cmd: c, ended: make(chan struct{})}
	running[args[0]] = p
	first := make(chan string, 1)
	go func() { // ends with the process, which the script's end waits for
		defer close(p.ended)
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			first <- lines.Text()
		}
		close(first)
		for lines.Scan() {
			continue // so that it never waits for a reader
		}
		_ = errors.Join(c.Wait(), log.Close()) // how it ended is in ProcessState
	}()
	ts.Defer(func() {
		_ = c.Process.Kill() // it may have ended
		<-p.ended
	})
	select {
	case line, ok := <-first:
		if !ok {
			ts.Fatalf("%s ended before it was ready: %s", args[0], ts.ReadFile(args[0]+".err"))
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), []byte(line+"\n"), 0o600))
		var info struct {
			URL  string `json:"url"`
			HTTP string `json:"http"`
		}
		if json.Unmarshal([]byte(line), &info) == nil && info.URL != "" { // of a parley dev
			ts.Setenv("ADDRESS", strings.TrimPrefix(info.URL, "nats://"))
			ts.Setenv("HTTP", info.HTTP)
		}
	case <-time.After(patience):
		ts.Fatalf("%s is not ready after %v: %s", args[0], patience, ts.ReadFile(args[0]+".err"))
	}
}

// cmdEnd is "end NAME [CODE]": it asks a process to end, and wants it to do so within 10 s with this exit code (0).
func cmdEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: end NAME [CODE]")
	}
	p := ts.Value(processes{}).(map[string]*process)[args[0]]
	if p == nil {
		ts.Fatalf("no process %s", args[0])
	}
	want := 0
	if len(args) == 2 {
		var err error
		want, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		ts.Fatalf("%s still runs 10 s after SIGTERM", args[0])
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%s ended with exit code %d after SIGTERM, want %d: %s", args[0], got, want, ts.ReadFile(args[0]+".err"))
	}
}

// cmdBroker is "broker": a broker that is no parley dev; $URL is where it is, $BARE the same without what it survives.
func cmdBroker(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: broker")
	}
	const token = "sixteen-characters"
	server, err := embedded.Start(context.Background(), embedded.Options{Dir: ts.MkAbs("broker"), Listen: "127.0.0.1:0", Token: token})
	ts.Check(err)
	ts.Defer(func() { ts.Check(server.Close(context.Background())) })
	bare := strings.Replace(server.URL(), "//", "//"+token+"@", 1)
	ts.Setenv("BARE", bare)
	ts.Setenv("URL", bare+"?survives="+server.Survives())
}

// cmdLarge is "large BYTES FILE": a body of the kitchen that is somewhat larger.
func cmdLarge(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: large BYTES FILE")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	body := `{"portions":1,"name":"` + strings.Repeat("a", n) + `"}`
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(body), 0o600))
}

// cmdExits is "exits CODE PROGRAM ARG…": it runs a program and wants this very exit code.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// cmdCapture is "capture NAME": the last output, without the blanks around it, becomes a variable.
func cmdCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: capture NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}
