package network

import (
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestTheRuntimeFileIsWrittenReadAndRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	t.Setenv("PARLEY_RUNTIME_DIR", dir)
	if r, ok, err := ReadRuntime(); ok || err != nil {
		t.Fatalf("ReadRuntime() = %+v, %v, %v before anything was written; want nothing", r, ok, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("ReadRuntime made the directory, want it left alone")
	}
	want := Runtime{URL: "nats://127.0.0.1:4222", Open: "nats://s3cret@127.0.0.1:4222?survives=power", Token: "s3cret", HTTP: "http://127.0.0.1:7070", PID: os.Getpid(), Dev: true}
	remove, err := WriteRuntime(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok, err := ReadRuntime(); got != want || !ok || err != nil {
		t.Errorf("ReadRuntime() = %+v, %v, %v; want %+v", got, ok, err, want)
	}
	if got := mode(t, dir); got != 0o700 {
		t.Errorf("mode of the directory = %v, want 0700", got)
	}
	if got := mode(t, filepath.Join(dir, runtimeFile)); got != 0o600 {
		t.Errorf("mode of the file = %v, want 0600", got)
	}
	remove()
	if r, ok, err := ReadRuntime(); ok || err != nil {
		t.Errorf("ReadRuntime() = %+v, %v, %v after remove; want nothing", r, ok, err)
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("the directory holds %v, %v after remove; want nothing", left, err)
	}
}

func TestARuntimeFileShowsNoPasswordAndHoldsForEveryDirectory(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", filepath.Join(t.TempDir(), "run"))
	dir := t.TempDir()
	t.Chdir(dir)
	remove, err := WriteRuntime(Runtime{Open: "amqps://ann:s3cret@h/v?ca=ca.pem&survives=process"})
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	got, ok, err := ReadRuntime()
	open := "amqps://ann:s3cret@h:5671/v?ca=" + url.QueryEscape(filepath.Join(dir, "ca.pem")) + "&survives=process"
	if got.URL != "amqps://xxxxx@h:5671/v" || got.Open != open || !ok || err != nil {
		t.Errorf("ReadRuntime() = %+v, %v, %v; want the URL without user and password, and %s to open it", got, ok, err, open)
	}
	if _, err := WriteRuntime(Runtime{Open: "amqp://ann:s3cret@h?x=1"}); !errors.Is(err, ErrURL) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("WriteRuntime of a wrong URL = %v, want ErrURL without the password", err)
	}
}

func TestARuntimeFileOfADeadProcessIsIgnoredAndReplaced(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", t.TempDir()+"/run")
	if _, err := WriteRuntime(Runtime{Open: "nats://127.0.0.1:1", PID: deadProcess(t)}); err != nil {
		t.Fatal(err)
	}
	if r, ok, err := ReadRuntime(); ok || err != nil {
		t.Errorf("ReadRuntime() = %+v, %v, %v; want the file of a dead process ignored", r, ok, err)
	}
	remove, err := WriteRuntime(Runtime{Open: "nats://127.0.0.1:2"})
	if err != nil {
		t.Fatalf("WriteRuntime over the file of a dead process: %v", err)
	}
	defer remove()
	if r, ok, err := ReadRuntime(); r.URL != "nats://127.0.0.1:2" || r.PID != os.Getpid() || !ok || err != nil {
		t.Errorf("ReadRuntime() = %+v, %v, %v; want the new file, with the process that wrote it", r, ok, err)
	}
}

func TestARuntimeFileOfALiveProcessIsNotReplacedNorRemovedByAnother(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", t.TempDir()+"/run")
	mine, err := WriteRuntime(Runtime{Open: "nats://127.0.0.1:1", PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := WriteRuntime(Runtime{Open: "nats://127.0.0.1:2", PID: os.Getppid()}); !errors.Is(err, ErrRunning) {
		t.Errorf("WriteRuntime beside a live process = %v, want ErrRunning", err)
	}
	mine()
	others, err := WriteRuntime(Runtime{Open: "nats://127.0.0.1:2", PID: os.Getppid()})
	if err != nil {
		t.Fatal(err)
	}
	defer others()
	mine()
	if r, ok, err := ReadRuntime(); r.PID != os.Getppid() || !ok || err != nil {
		t.Errorf("ReadRuntime() = %+v, %v, %v after the first owner's second remove; want the other's file", r, ok, err)
	}
}

func TestARuntimeDirectoryThatOthersCanEnterIsRefused(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PARLEY_RUNTIME_DIR", dir)
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := RuntimeDir(); err == nil {
		t.Error("RuntimeDir() accepted a directory of mode 0750, want an error")
	}
	if _, _, err := ReadRuntime(); err == nil {
		t.Error("ReadRuntime() trusted a directory of mode 0750, want an error")
	}
}

func TestTheRuntimeDirectoryFollowsTheEnvironment(t *testing.T) {
	root := t.TempDir()
	t.Setenv("PARLEY_RUNTIME_DIR", "")
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(root, "xdg"))
	if got, err := RuntimeDir(); got != filepath.Join(root, "xdg", "parley") || err != nil {
		t.Errorf("RuntimeDir() = %q, %v with XDG_RUNTIME_DIR; want parley inside it", got, err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", root)
	if got, err := RuntimeDir(); got != filepath.Join(root, "parley-"+strconv.Itoa(os.Getuid())) || err != nil {
		t.Errorf("RuntimeDir() = %q, %v without both; want parley-UID among the temporary files", got, err)
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// deadProcess is the number of a process that has ended.
func deadProcess(t *testing.T) int {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}
