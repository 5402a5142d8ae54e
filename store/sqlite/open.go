package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite" of database/sql

	"github.com/parley-io/parley/internal/filelock"
	"github.com/parley-io/parley/operation"
)

// Options are those of Open. The zero Options is fine.
type Options struct {
	// MaxBytes is how large the file may become, without its log (which is emptied into the file at about 4 MiB); then
	// Commit fails with [ErrFull]. 0 = as large as the disk allows. Otherwise at least 256 KiB. A file that is
	// larger already does not grow any more.
	MaxBytes int64
}

const (
	// leastBytes has room for the tables, their indexes and some operations.
	leastBytes = 256 << 10
	// readers is how many Loads and Lists read at once; others wait for their turn.
	readers = 2

	// pageSize is that of a new file. A commit writes each page that it changes as a whole, mostly for a few hundred bytes:
	// with pages of 4 KiB the commits of an operation take 10 to 15% longer, with 1 KiB nothing is gained.
	pageSize = "page_size(2048)"
	// logPages are 4 MiB.
	logPages = "wal_autocheckpoint(2000)"
)

// Open opens the journal in a file, which is created with its directory when it does not exist. It fails at once when
// another process has the file, when it is damaged, when something else is in it, or when a newer version wrote it.
func Open(ctx context.Context, path string, o Options) (operation.Journal, error) {
	if o.MaxBytes != 0 && o.MaxBytes < leastBytes {
		return nil, fmt.Errorf("journal %s: MaxBytes = %d; want 0 or at least %d", path, o.MaxBytes, leastBytes)
	}
	file, err := create(path)
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w: choose a file that can be written", path, err)
	}
	release, err := filelock.Lock(file + ".lock")
	if held, ok := errors.AsType[*filelock.Held](err); ok {
		return nil, fmt.Errorf("journal %s: %s has it open: a service that owns operations runs as one process on one journal; "+
			"stop the other one, or give this service a file of its own (several need a database that they share)", path, held.Owner)
	}
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	j := &journal{path: path, release: release}
	if err := j.open(ctx, file, o); err != nil {
		return nil, errors.Join(j.explain("open", err), j.Close())
	}
	return j, nil
}

// create makes sure that the file is there and is for this user only, and answers its one absolute name.
func create(path string) (string, error) {
	if path == "" {
		return "", errors.New("a file name is missing")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the caller names it
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

func (j *journal) open(ctx context.Context, file string, o Options) error {
	var err error
	// The writer's cache has the pages that a batch changes; what is read comes from the cache of the system mostly.
	if j.writes, err = sql.Open("sqlite", address(file, "synchronous(full)", "foreign_keys(on)", "cache_size(-2048)", pageSize, logPages)); err != nil {
		return err
	}
	j.writes.SetMaxOpenConns(1)
	conn, err := j.writes.Conn(ctx)
	if err != nil {
		return err
	}
	w := &writer{conn: conn}
	j.w = w
	if err := w.setUp(ctx, o); err != nil {
		return err
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	if j.reads, err = sql.Open("sqlite", address(file, "query_only(on)", "cache_size(-512)")); err != nil {
		return err
	}
	j.reads.SetMaxOpenConns(readers)
	j.reads.SetMaxIdleConns(readers)
	return j.prepareReads(ctx)
}

// address is the file for the driver, with what each connection to it is set to.
func address(file string, pragmas ...string) string {
	// The lock keeps other processes off, but a person may look into the file by other tools: they are waited for.
	q := url.Values{"_pragma": append(pragmas, "busy_timeout(5000)", "journal_size_limit(67108864)")}
	return (&url.URL{Scheme: "file", Path: file, RawQuery: q.Encode()}).String()
}

// setUp looks at whose file it is before it writes anything.
func (w *writer) setUp(ctx context.Context, o Options) error {
	var app, version, pageSize, tables int64
	var mode string
	if err := w.conn.QueryRowContext(ctx, `select application_id, user_version, page_size, (select count(*) from sqlite_schema)
		from pragma_application_id, pragma_user_version, pragma_page_size`).Scan(&app, &version, &pageSize, &tables); err != nil {
		return err
	}
	empty := app == 0 && version == 0 && tables == 0
	switch {
	case empty:
	case app != applicationID:
		return errors.New("the file is a database of something else: choose another file")
	case version != schemaVersion:
		return fmt.Errorf("the file has version %d of the tables, this program knows version %d: update the program", version, schemaVersion)
	}
	if err := w.conn.QueryRowContext(ctx, "pragma journal_mode=wal").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file can't have a write-ahead log (its mode is %q): choose a file on a local disk", mode)
	}
	if o.MaxBytes > 0 {
		if _, err := w.conn.ExecContext(ctx, fmt.Sprintf("pragma max_page_count=%d", o.MaxBytes/pageSize)); err != nil {
			return err
		}
	}
	if empty {
		if _, err := w.conn.ExecContext(ctx, schema, rand.Text()); err != nil {
			return err
		}
	}
	return w.conn.QueryRowContext(ctx, "select id, worker, epoch from journal").Scan(&w.now.Journal, &w.now.Worker, &w.now.Epoch)
}
