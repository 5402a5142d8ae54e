package readme

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// block is the fenced code of README.md after a marker.
func block(t *testing.T, readme, marker string) string {
	t.Helper()
	_, rest, ok := strings.Cut(readme, marker)
	if !ok {
		t.Fatalf("README.md has no %q", marker)
	}
	_, rest, _ = strings.Cut(rest, "```")
	_, rest, _ = strings.Cut(rest, "\n")
	code, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatalf("README.md has no code after %q", marker)
	}
	return code
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheProgramInTheReadmeIsTheOneThatIsBuiltHere(t *testing.T) {
	t.Parallel()
	got, want := block(t, read(t, "../../README.md"), "`main.go`:"), read(t, "../../examples/invoices/main.go")
	if got != want {
		t.Error("the main.go of README.md is not examples/invoices/main.go; copy one over the other")
	}
	if lines := strings.Count(got, "\n"); lines >= 60 {
		t.Errorf("the program of README.md has %d lines; want fewer than 60", lines)
	}
}

// A stranger follows the README: two files in a folder of their own, `parley dev` in one terminal, the service in
// another, and a look from a third.
func TestAServiceWrittenFromTheReadmeJoinsARunningParleyDev(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	readme := read(t, "../../README.md")
	work := t.TempDir()
	folder := filepath.Join(work, "invoices")
	write(t, filepath.Join(folder, "main.go"), block(t, readme, "`main.go`:"))
	write(t, filepath.Join(folder, "go.mod"), strings.Replace(block(t, readme, "`go.mod`:"), "../parley", root, 1))
	env := append(os.Environ(), "PARLEY_RUNTIME_DIR="+filepath.Join(work, "run"), "PARLEY_NETWORK=", "GOFLAGS=", "GOWORK=off")
	command := func(dir, name string, args ...string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), name, args...)
		c.Dir, c.Env = dir, env
		return c
	}
	must := func(c *exec.Cmd) string {
		t.Helper()
		var stderr strings.Builder
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s%s", c.Args, err, out, stderr.String())
		}
		return string(out)
	}
	parley := filepath.Join(work, "parley")
	must(command(root, "go", "build", "-o", parley, "./cmd/parley"))
	must(command(folder, "go", "mod", "tidy"))
	must(command(folder, "go", "build", "-o", filepath.Join(work, "invoices-bin"), "."))

	dev := start(t, command(work, parley, "dev", "--http", "127.0.0.1:0"))
	http7070 := dev.await(`http://127\.0\.0\.1:\d+`)
	service := start(t, command(work, filepath.Join(work, "invoices-bin")))
	peer := strings.TrimPrefix(service.await(`peer=http://127\.0\.0\.1:\d+`), "peer=")

	const body = `{"customer":"ada","cents":[250,390]}`
	if out := must(command(work, parley, "call", "invoices.v1.total", "-d", body, "-o", "json")); !strings.Contains(out, "640") {
		t.Errorf("parley call answered %q; want 640 cents", out)
	}
	if out := post(t, peer+"/invoices/v1/total", body); strings.TrimSpace(out) != `{"cents":640}` {
		t.Errorf("curl answered %q; want 640 cents", out)
	}
	id := strings.TrimSpace(must(command(work, parley, "send", "invoices.v1.issue", "-d", body)))
	if out := must(command(work, parley, "follow", "-w", id)); !strings.Contains(out, "done") {
		t.Errorf("parley follow shows %q; want that the command is done", out)
	}
	if out := get(t, http7070+"/v1/messages/"+id); !strings.Contains(out, `"state":"done"`) || !strings.Contains(out, "invoices.v1.sent") {
		t.Errorf("GET /v1/messages/%s = %s; want the command done and the event that it caused", id, out)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// running is a process whose output is read line by line.
type running struct {
	t     *testing.T
	name  string
	lines chan string
	seen  []string
}

// start starts a process, and ends it with the test.
func start(t *testing.T, c *exec.Cmd) *running {
	t.Helper()
	r, w := io.Pipe()
	c.Stdout, c.Stderr = w, w
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 20 * time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &running{t: t, name: filepath.Base(c.Path), lines: make(chan string, 1024)}
	read, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			select {
			case p.lines <- s.Text():
			default: // nobody looks any more
			}
		}
	}()
	go func() {
		defer close(ended)
		_ = c.Wait()
		_ = w.Close()
	}()
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		<-ended
		<-read
	})
	return p
}

// await is the first part of the output that matches.
func (p *running) await(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("%s ended before it printed %q:\n%s", p.name, pattern, strings.Join(p.seen, "\n"))
			}
			p.seen = append(p.seen, line)
			if found := re.FindString(line); found != "" {
				return found
			}
		case <-ctx.Done():
			p.t.Fatalf("%s did not print %q within a minute:\n%s", p.name, pattern, strings.Join(p.seen, "\n"))
		}
	}
}

func post(t *testing.T, url, body string) string {
	t.Helper()
	// As `curl -d` does, which calls it a form.
	return answer(t)(http.Post(url, "application/x-www-form-urlencoded", strings.NewReader(body)))
}

func get(t *testing.T, url string) string { t.Helper(); return answer(t)(http.Get(url)) }

func answer(t *testing.T) func(*http.Response, error) string {
	return func(r *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v\n%s", r.Request.URL, r.Status, err, b)
		}
		return string(b)
	}
}
