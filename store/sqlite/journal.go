package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/parley-io/parley/operation"
)

// ErrFull is in the error of Commit when there is no room: nothing of the batch is stored, and the same batch may be
// committed once there is room. Room comes from the disk, or from Forget.
var ErrFull = errors.New("disk full")

// journal is an open file.
type journal struct {
	path          string       // as it was given, for errors
	release       func() error // the lock
	writes, reads *sql.DB
	w             *writer
	load          loads

	life   sync.RWMutex // held for reading by all that use the file
	closed bool
}

func (j *journal) Register(ctx context.Context, worker string) (operation.Lease, error) {
	done, err := j.use(ctx)
	if err != nil {
		return operation.Lease{}, err
	}
	defer done()
	lease, err := j.w.register(ctx, worker)
	if err != nil {
		return operation.Lease{}, j.explain("register "+worker, err)
	}
	return lease, nil
}

func (j *journal) Commit(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
	done, err := j.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	outcomes, err := j.w.write(ctx, lease, batch)
	switch {
	case errors.Is(err, operation.ErrFenced):
		return nil, err
	case err != nil:
		return nil, j.explain(fmt.Sprintf("commit %d changes", len(batch)), err)
	}
	return outcomes, nil
}

// Close waits for what uses the file. The log is emptied into the file, and the file is free for others.
func (j *journal) Close() error {
	j.life.Lock()
	defer j.life.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	var found []error
	if j.reads != nil {
		found = append(found, j.reads.Close())
	}
	if j.w != nil {
		found = append(found, j.w.close())
	}
	if j.writes != nil {
		found = append(found, j.writes.Close())
	}
	if err := errors.Join(append(found, j.release())...); err != nil {
		return j.explain("close", err)
	}
	return nil
}

// use keeps the file open until done.
func (j *journal) use(ctx context.Context) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j.life.RLock()
	if j.closed {
		j.life.RUnlock()
		return nil, fmt.Errorf("journal %s: it is closed", j.path)
	}
	return j.life.RUnlock, nil
}

// explain says what was attempted, on which file, and what to do.
func (j *journal) explain(attempted string, err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return fmt.Errorf("journal %s: %s: %w", j.path, attempted, err)
	}
	switch e.Code() & 0xff { // without the detail
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("journal %s: %s: %w: nothing of it is stored; make room and it can be done again (%w)", j.path, attempted, ErrFull, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("journal %s: %s: the file is no database: choose another file (%w)", j.path, attempted, err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("journal %s: %s: the file is damaged: restore it from a backup (%w)", j.path, attempted, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("journal %s: %s: another program has the file: let it end (%w)", j.path, attempted, err)
	}
	return fmt.Errorf("journal %s: %s: %w", j.path, attempted, err)
}
