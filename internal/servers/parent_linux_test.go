package servers_test

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/internal/servers"
)

func TestServersDieWithTheProcessThatStartedThem(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(soon(t), os.Args[0])
	cmd.Env = append(os.Environ(), parentVariable+"="+string(servers.RabbitMQ))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the parent ended: %v, %v", err, cmd.Wait())
	}
	var r servers.Record
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Processes) != 2 || !r.Running() {
		t.Fatalf("the parent started %v; want epmd and a server that runs", r.Processes)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
	for _, p := range r.Processes {
		for p.Running() {
			select {
			case <-soon(t).Done():
				t.Fatalf("%s, process %d, outlives its parent", p.Name, p.PID)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if err := r.Stop(t.Context()); err != nil { // the directory
		t.Errorf("Stop of a dead server's record = %v; want nil", err)
	}
}
