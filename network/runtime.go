package network

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Runtime is what a running `parley dev` tells the other processes of its user, by a file in [RuntimeDir].
type Runtime struct {
	URL   string `json:"url"`            // of the network, for people: without token, user and password
	Open  string `json:"open"`           // of the network, for [Open]: with all of that. Never print it
	Token string `json:"token,omitzero"` // of an embedded broker; "" = the broker is elsewhere
	HTTP  string `json:"http,omitzero"`  // "http://127.0.0.1:7070": where it answers people; "" = nowhere
	PID   int    `json:"pid"`            // of the process that wrote this
	Dev   bool   `json:"dev,omitzero"`   // faults may be injected
	Dir   string `json:"dir,omitzero"`   // absolute: where it keeps its data, and services their journals; "" = not said
}

// ErrRunning is what [WriteRuntime] answers while another process that wrote the file is alive.
var ErrRunning = errors.New("already running")

// RuntimeDir is the directory of the runtime file, made with mode 0700 where missing: $PARLEY_RUNTIME_DIR, else
// parley in $XDG_RUNTIME_DIR, else parley-UID in the directory for temporary files. One that belongs to another
// user, or that others may read or write, is refused, because the file holds a token and says whom to trust.
func RuntimeDir() (string, error) {
	dir := runtimeDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("runtime directory: %w; set PARLEY_RUNTIME_DIR to one of your own", err)
	}
	return dir, checkRuntimeDir(dir)
}

// WriteRuntime writes the runtime file, readable by the user only, at once or not at all. r.Open is required; relative
// paths in it become absolute, and an empty r.URL becomes its form for people. remove deletes the file if it is still this one. It fails with an error that wraps [ErrRunning] while another process of the user has one.
func WriteRuntime(r Runtime) (remove func(), err error) {
	if r.PID == 0 {
		r.PID = os.Getpid()
	}
	where, err := parse(r.Open)
	if err != nil {
		return nil, fmt.Errorf("runtime file: %w", err)
	}
	if r.Open, err = where.secret(); err != nil {
		return nil, fmt.Errorf("runtime file: %w", err)
	}
	r.URL = cmp.Or(r.URL, where.String())
	dir, err := RuntimeDir()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, runtimeFile)
	if other, ok, err := ReadRuntime(); err != nil {
		return nil, err
	} else if ok && other.PID != r.PID {
		return nil, fmt.Errorf("runtime file %s: %w as process %d on %s; stop it, or set another PARLEY_RUNTIME_DIR",
			path, ErrRunning, other.PID, other.URL)
	}
	if err := writeFile(dir, path, r); err != nil {
		return nil, fmt.Errorf("runtime file %s: %w", path, err)
	}
	return func() {
		if now, err := readFile(path); err == nil && now.PID == r.PID {
			_ = os.Remove(path) // one that stays is ignored as soon as this process has ended
		}
	}, nil
}

// ReadRuntime reads the runtime file. ok is false when there is none, or when the process that wrote it has ended.
// It makes no directory.
func ReadRuntime() (r Runtime, ok bool, err error) {
	dir := runtimeDir()
	path := filepath.Join(dir, runtimeFile)
	if err = checkRuntimeDir(dir); err == nil {
		r, err = readFile(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Runtime{}, false, nil
	case err != nil:
		return Runtime{}, false, fmt.Errorf("read runtime file %s: %w", path, err)
	case !alive(r.PID):
		return Runtime{}, false, nil
	}
	return r, true, nil
}

const (
	runtimeFile   = "dev.json"
	runtimeFormat = 2
)

// stored is the content of the runtime file.
type stored struct {
	Format int `json:"v"`
	Runtime
}

func runtimeDir() string {
	if dir := os.Getenv("PARLEY_RUNTIME_DIR"); dir != "" {
		return dir
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "parley")
	}
	return filepath.Join(os.TempDir(), "parley-"+strconv.Itoa(os.Getuid()))
}

func checkRuntimeDir(dir string) error {
	info, err := os.Lstat(dir)
	var what string
	switch {
	case err != nil:
		return fmt.Errorf("runtime directory: %w", err)
	case !info.IsDir():
		what = "is no directory"
	case !ownedByUser(info):
		what = "belongs to another user"
	case info.Mode().Perm()&0o077 != 0:
		what = fmt.Sprintf("is open to others (%v), want -rwx------", info.Mode().Perm())
	default:
		return nil
	}
	return fmt.Errorf("runtime directory %s %s; set PARLEY_RUNTIME_DIR to one of your own", dir, what)
}

func readFile(path string) (Runtime, error) {
	b, err := os.ReadFile(path) //nolint:gosec // a file in a directory that only its user can write to
	if err != nil {
		return Runtime{}, err
	}
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return Runtime{}, fmt.Errorf("not what parley dev writes, remove it: %w", err)
	}
	if s.Format != runtimeFormat {
		return Runtime{}, fmt.Errorf("format %d of another version of parley, want %d; remove it", s.Format, runtimeFormat)
	}
	return s.Runtime, nil
}

func writeFile(dir, path string, r Runtime) error {
	b, err := json.Marshal(stored{runtimeFormat, r}, jsontext.Multiline(true))
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, runtimeFile+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error before tells more
	}
	return err
}
