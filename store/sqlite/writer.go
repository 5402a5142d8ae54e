package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/parley-io/parley/operation"
)

// writer is the one connection that writes.
type writer struct {
	mu   sync.Mutex // for one transaction
	conn *sql.Conn
	now  operation.Lease // the one that is valid, as table journal has it: nobody else writes there

	begin, commit, rollback          *sql.Stmt
	take                             *sql.Stmt // of a lease
	accept, update, enter, tell      *sql.Stmt
	forget, existing, known, ordinal *sql.Stmt

	prepared []*sql.Stmt // all of them
}

// mutable are the columns of operations that an update sets; see mutableValues.
const mutable = "status, output, error, parked, updated, finished, deadline, wake_at, cancel, undo, revision"

// record are the columns that make a Record; see scanRecord.
const record = "id, address, version, input, origin, created, " + mutable

func (w *writer) prepare(ctx context.Context) error {
	for _, s := range []struct {
		at  **sql.Stmt
		sql string
	}{
		{&w.begin, "begin immediate"},
		{&w.commit, "commit"},
		{&w.rollback, "rollback"},
		{&w.take, "update journal set worker = ?, epoch = ?"},
		{&w.accept, "insert into operations(" + record + `) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			on conflict (id) do nothing`},
		{&w.update, "update operations set (" + mutable + ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) where id = ? and " + isOpen},
		{&w.enter, `insert into entries(op, key, seq, kind, attempt, attempts, output, error, begun, ended, next)
			select op, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? from operations where id = ?
			on conflict (op, key) do update set (seq, kind, attempt, attempts, output, error, begun, ended, next) =
			(excluded.seq, excluded.kind, excluded.attempt, excluded.attempts, excluded.output, excluded.error,
			excluded.begun, excluded.ended, excluded.next) where ended = ` + zeroText},
		{&w.tell, `insert into signals(op, id, name, n, body, source, at)
			select op, ?1, ?2, 1 + (select count(*) from signals s where s.op = o.op and s.name = ?2), ?3, ?4, ?5
			from operations o where o.id = ?6 on conflict (op, id) do nothing`},
		{&w.forget, "delete from operations where finished < ? and finished > " + zeroText},
		{&w.existing, "select " + record + " from operations where id = ?"},
		{&w.known, "select count(*) from operations where id = ?"},
		{&w.ordinal, "select n from signals where op = (select op from operations where id = ?) and id = ?"},
	} {
		var err error
		if *s.at, err = w.conn.PrepareContext(ctx, s.sql); err != nil { //nolint:sqlclosecheck // see close
			return fmt.Errorf("prepare %q: %w", s.sql, err)
		}
		w.prepared = append(w.prepared, *s.at)
	}
	return nil
}

// close ends the statements first: database/sql does not for those of one connection, and SQLite keeps a connection that
// has statements open, with its files.
func (w *writer) close() error {
	var found []error
	for _, s := range w.prepared {
		found = append(found, s.Close())
	}
	return errors.Join(append(found, w.conn.Close())...)
}

func (w *writer) register(ctx context.Context, worker string) (operation.Lease, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := operation.Lease{Journal: w.now.Journal, Worker: worker, Epoch: w.now.Epoch + 1}
	if _, err := w.take.ExecContext(context.WithoutCancel(ctx), next.Worker, next.Epoch); err != nil {
		return operation.Lease{}, err
	}
	w.now = next
	return next, nil
}

// write is one transaction. The context ends the wait for its turn only: a transaction that has begun is ended.
func (w *writer) write(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
	for i := range batch {
		if err := batch[i].Check(); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if lease != w.now {
		return nil, operation.ErrFenced
	}
	if err := ctx.Err(); err != nil || len(batch) == 0 {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	if len(batch) == 1 { // the one statement that writes is a transaction by itself
		return w.applyAll(ctx, batch)
	}
	if _, err := w.begin.ExecContext(ctx); err != nil {
		return nil, err
	}
	outcomes, err := w.applyAll(ctx, batch)
	if err == nil {
		_, err = w.commit.ExecContext(ctx)
	}
	if err != nil {
		_, _ = w.rollback.ExecContext(ctx) // fails where SQLite has done it by itself
		return nil, err
	}
	return outcomes, nil
}

func (w *writer) applyAll(ctx context.Context, batch []operation.Change) ([]operation.Outcome, error) {
	outcomes := make([]operation.Outcome, len(batch))
	for i := range batch {
		var err error
		if outcomes[i], err = w.apply(ctx, &batch[i]); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

func (w *writer) apply(ctx context.Context, c *operation.Change) (operation.Outcome, error) {
	switch {
	case c.Accept != nil:
		return w.applyAccept(ctx, c.Accept)
	case c.Update != nil:
		n, err := affected(w.update.ExecContext(ctx, append(mutableValues(c.Update), c.Op)...))
		return w.unlessWritten(ctx, c, n, err)
	case c.Entry != nil:
		e := c.Entry
		n, err := affected(w.enter.ExecContext(ctx, e.Key, e.Seq, e.Kind, e.Attempt, e.Of, e.Output, failure{&e.Error},
			moment(e.Begun), moment(e.Ended), moment(e.Next), c.Op))
		return w.unlessWritten(ctx, c, n, err)
	case c.Signal != nil:
		return w.applySignal(ctx, c)
	default:
		n, err := affected(w.forget.ExecContext(ctx, moment(c.Forget)))
		return operation.Outcome{Forgot: int(n)}, err
	}
}

func (w *writer) applyAccept(ctx context.Context, r *operation.Record) (operation.Outcome, error) {
	values := []any{
		r.ID, r.Address, r.Version, r.Input, texts{&r.Source, &r.Key, &r.Correlation, &r.Causation, &r.Trace}, moment(r.Created),
	}
	n, err := affected(w.accept.ExecContext(ctx, append(values, mutableValues(r)...)...))
	if err != nil || n == 1 {
		return operation.Outcome{}, err
	}
	existing, err := scanRecord(w.existing.QueryRowContext(ctx, r.ID))
	return operation.Outcome{Existing: &existing}, err
}

func (w *writer) applySignal(ctx context.Context, c *operation.Change) (o operation.Outcome, err error) {
	g := c.Signal
	n, err := affected(w.tell.ExecContext(ctx, g.ID, g.Name, g.Body, g.Source, moment(g.At), c.Op))
	if err != nil {
		return o, err
	}
	err = w.ordinal.QueryRowContext(ctx, c.Op, g.ID).Scan(&o.N)
	if errors.Is(err, sql.ErrNoRows) {
		return operation.Outcome{Missing: true}, nil
	}
	o.Ignored = n == 0
	return o, err
}

// unlessWritten is the outcome of a change that may have found its operation missing, or what it changes at its end.
func (w *writer) unlessWritten(ctx context.Context, c *operation.Change, rows int64, err error) (operation.Outcome, error) {
	if err != nil || rows > 0 {
		return operation.Outcome{}, err
	}
	var known bool
	err = w.known.QueryRowContext(ctx, c.Op).Scan(&known)
	return operation.Outcome{Ignored: known, Missing: !known}, err
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func mutableValues(r *operation.Record) []any {
	return []any{
		string(r.Status), r.Output, failure{&r.Error}, r.Parked, moment(r.Updated), moment(r.Finished), moment(r.Deadline),
		moment(r.WakeAt), r.Cancel, names(r.Undo), r.Revision,
	}
}
