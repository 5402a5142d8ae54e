package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-io/parley/operation"
)

// loads are the statements of Load.
type loads struct{ operation, entries, signals *sql.Stmt }

func (j *journal) prepareReads(ctx context.Context) error {
	for _, s := range []struct {
		at  **sql.Stmt
		sql string
	}{
		{&j.load.operation, "select op, " + record + " from operations where id = ?"},
		{&j.load.entries, `select key, seq, kind, attempt, attempts, output, error, begun, ended, next from entries
			where op = ? order by seq, key`},
		{&j.load.signals, "select id, name, n, body, source, at from signals where op = ? order by name, n"},
	} {
		var err error
		if *s.at, err = j.reads.PrepareContext(ctx, s.sql); err != nil { //nolint:sqlclosecheck // it ends with j.reads
			return fmt.Errorf("prepare %q: %w", s.sql, err)
		}
	}
	return nil
}

func (j *journal) Load(ctx context.Context, ids ...string) ([]operation.Stored, error) {
	done, err := j.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	tx, err := j.reads.BeginTx(ctx, nil) // all that is loaded is of one moment
	if err != nil {
		return nil, j.explain("load operations", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	var all []operation.Stored
	l := loads{tx.StmtContext(ctx, j.load.operation), tx.StmtContext(ctx, j.load.entries), tx.StmtContext(ctx, j.load.signals)}
	for _, id := range ids {
		o, err := l.one(ctx, id)
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return nil, j.explain("load operation "+id, err)
		default:
			all = append(all, o)
		}
	}
	return all, nil
}

func (l loads) one(ctx context.Context, id string) (o operation.Stored, err error) {
	var op int64
	if o.Record, err = scanRecord(l.operation.QueryRowContext(ctx, id), &op); err != nil {
		return o, err
	}
	err = each(ctx, l.entries, op, func(rows *sql.Rows) error {
		var e operation.Entry
		err := rows.Scan(&e.Key, &e.Seq, &e.Kind, &e.Attempt, &e.Of, (*body)(&e.Output), failure{&e.Error},
			(*moment)(&e.Begun), (*moment)(&e.Ended), (*moment)(&e.Next))
		o.Entries = append(o.Entries, e)
		return err
	})
	if err != nil {
		return o, err
	}
	return o, each(ctx, l.signals, op, func(rows *sql.Rows) error {
		var g operation.Signal
		err := rows.Scan(&g.ID, &g.Name, &g.N, (*body)(&g.Body), &g.Source, (*moment)(&g.At))
		o.Signals = append(o.Signals, g)
		return err
	})
}

func each(ctx context.Context, s *sql.Stmt, op int64, take func(*sql.Rows) error) error {
	rows, err := s.QueryContext(ctx, op)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err has what it would say
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (j *journal) List(ctx context.Context, f operation.Filter) ([]operation.Record, error) {
	done, err := j.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	query, args := listing(f)
	rows, err := j.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, j.explain("list operations", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err has what it would say
	var page []operation.Record
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, j.explain("list operations", err)
		}
		page = append(page, r)
	}
	if err := rows.Err(); err != nil {
		return nil, j.explain("list operations", err)
	}
	return page, nil
}

// listing is the query of a page. Pages go on after the values of the last record, so that what is added or deleted
// meanwhile moves nothing.
func listing(f operation.Filter) (query string, args []any) {
	where := []string{"true"}
	and := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if f.Address != "" {
		and("address = ?", f.Address)
	}
	if f.Version != 0 {
		and("version = ?", f.Version)
	}
	if len(f.Statuses) > 0 {
		and("status in (?" + strings.Repeat(", ?", len(f.Statuses)-1) + ")")
		for _, s := range f.Statuses {
			args = append(args, string(s))
		}
	}
	from, order, a := "operations", "created desc, id desc", f.After
	if f.DueBefore.IsZero() {
		if a != nil {
			and("(created, id) < (?, ?)", moment(a.Created), a.ID)
		}
	} else {
		from, order = "operations indexed by due", "wake_at, created, id" // never another index and a sort
		and(isOpen+" and wake_at < ?", moment(f.DueBefore))
		if a != nil {
			and("(wake_at, created, id) > (?, ?, ?)", moment(a.WakeAt), moment(a.Created), a.ID)
		}
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	query = "select " + record + " from " + from + " where " + strings.Join(where, " and ") + " order by " + order + " limit ?"
	return query, append(args, limit)
}

// scanRecord scans what comes before the columns of a record, and those.
func scanRecord(row interface{ Scan(into ...any) error }, before ...any) (r operation.Record, err error) {
	into := append(slices.Clip(before),
		&r.ID, &r.Address, &r.Version, (*body)(&r.Input), texts{&r.Source, &r.Key, &r.Correlation, &r.Causation, &r.Trace},
		(*moment)(&r.Created), &r.Status, (*body)(&r.Output), failure{&r.Error}, &r.Parked, (*moment)(&r.Updated),
		(*moment)(&r.Finished), (*moment)(&r.Deadline), (*moment)(&r.WakeAt), &r.Cancel, (*names)(&r.Undo), &r.Revision)
	return r, row.Scan(into...)
}
