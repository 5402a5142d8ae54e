package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-io/parley/operation"
)

func TestAFileIsOpenOnceInAProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "journal.db"), filepath.Join(dir, "link.db")
	j, _ := open(t, file, Options{})
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, link} {
		_, err := Open(t.Context(), name, Options{})
		if want := fmt.Sprintf("this process (pid %d)", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) a second time = %v; want an error with %q", name, err, want)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatalf("Close = %v; want nil", err)
	}
	open(t, link, Options{}) // fails the test if it can't
}

func TestFilesAreForTheirUserOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	j, lease := open(t, filepath.Join(dir, "journal.db"), Options{})
	commit(t, j, lease, accept(&operation.Record{ID: "a"}))
	seen := map[string]bool{}
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has the mode %o; want %o", path, got, want)
		}
		seen[d.Name()] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock"} {
		if !seen[name] {
			t.Errorf("there is no %s; want it, or its mode was not looked at", name)
		}
	}
}

func TestAnOddNameIsAFileName(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a?mode=memory&b#c%20d é", "journal%3f?.db")
	j, lease := open(t, file, Options{})
	commit(t, j, lease, accept(&operation.Record{ID: "a"}))
	if err := j.Close(); err != nil {
		t.Fatalf("Close = %v; want nil", err)
	}
	j, _ = open(t, file, Options{})
	if found, err := j.Load(t.Context(), "a"); err != nil || len(found) != 1 {
		t.Errorf("Load = %d operations, %v; want the one that was there before", len(found), err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("Stat = %v; want a file with something in it", err)
	}
}

func TestWhatIsNoJournalIsRefusedAndNotTouched(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what string
		make func(t *testing.T, file string)
		want string
	}{
		{"a text", func(t *testing.T, file string) { put(t, file, strings.Repeat("some text\n", 1000)) }, "the file is no database"},
		{"a short text", func(t *testing.T, file string) { put(t, file, "hello") }, "the file is no database"},
		{"another program's database", func(t *testing.T, file string) { run(t, file, "create table t(x)") }, "a database of something else"},
		{"another program's marked database", func(t *testing.T, file string) { run(t, file, "pragma application_id=7") }, "a database of something else"},
		{"a journal of a newer version", func(t *testing.T, file string) {
			j, _ := open(t, file, Options{})
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			run(t, file, fmt.Sprintf("pragma user_version=%d", schemaVersion+1))
		}, fmt.Sprintf("version %d of the tables, this program knows version %d: update the program", schemaVersion+1, schemaVersion)},
		{"a directory", func(t *testing.T, file string) {
			if err := os.Mkdir(file, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "choose a file that can be written"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "journal.db")
			c.make(t, file)
			before, _ := os.ReadFile(file) // of a directory nothing
			_, err := Open(t.Context(), file, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), file) != 1+strings.Count(c.want, "can be written") {
				t.Errorf("Open = %v; want an error with %q that names the file once", err, c.want)
			}
			if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
				t.Error("the file has changed; want it untouched")
			}
		})
	}
	if _, err := Open(t.Context(), "", Options{}); err == nil {
		t.Error("Open without a name = no error; want one")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{-1, 1, leastBytes - 1} {
		file := filepath.Join(t.TempDir(), "journal.db")
		if _, err := Open(t.Context(), file, Options{MaxBytes: n}); err == nil || !strings.Contains(err.Error(), "MaxBytes") {
			t.Errorf("Open with MaxBytes %d = %v; want an error with its name", n, err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("Open with MaxBytes %d has made a file; want none", n)
		}
	}
	file := filepath.Join(t.TempDir(), "journal.db")
	open(t, file, Options{MaxBytes: leastBytes}) // fails the test if it can't
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ended, filepath.Join(t.TempDir(), "other.db"), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with an ended context = %v; want context.Canceled", err)
	}
}

func TestADamagedFileIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal.db")
	j, lease := open(t, file, Options{})
	var batch []operation.Change
	for n := range 2000 {
		batch = append(batch, accept(&operation.Record{ID: fmt.Sprint(n)}))
	}
	commit(t, j, lease, batch...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := 20 * 4096; at < len(b); at++ { // the tables' roots are before
		b[at] = 0x5a
	}
	put(t, file, string(b))
	j, _ = open(t, file, Options{}) // reads nothing of it yet
	_, err = j.List(t.Context(), operation.Filter{Limit: 2000})
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("List = %v; want an error that names the file as damaged", err)
	}
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run does something to a file as another program would.
func run(t *testing.T, file, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
