package mem

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/parley-io/parley/operation"
)

// journal is one access to a Database.
type journal struct {
	d      *Database
	closed atomic.Bool
}

var errClosed = errors.New("the journal is closed")

// usable says why nothing can be done.
func (j *journal) usable(ctx context.Context) error {
	if j.closed.Load() {
		return errClosed
	}
	return ctx.Err()
}

func (j *journal) Register(ctx context.Context, worker string) (operation.Lease, error) {
	if err := j.usable(ctx); err != nil {
		return operation.Lease{}, err
	}
	d := j.d
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = operation.Lease{Journal: d.id, Worker: worker, Epoch: d.now.Epoch + 1}
	return d.now, nil
}

func (j *journal) Commit(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
	if err := j.usable(ctx); err != nil {
		return nil, err
	}
	for i := range batch {
		if err := batch[i].Check(); err != nil {
			return nil, err
		}
	}
	d := j.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if lease != d.now {
		return nil, operation.ErrFenced
	}
	outcomes := make([]operation.Outcome, len(batch)) // from here on nothing can fail
	for i := range batch {
		outcomes[i] = d.apply(&batch[i])
	}
	return outcomes, nil
}

func (j *journal) Load(ctx context.Context, ids ...string) ([]operation.Stored, error) {
	if err := j.usable(ctx); err != nil {
		return nil, err
	}
	d := j.d
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []operation.Stored
	for _, id := range ids {
		if s := d.ops[id]; s != nil {
			found = append(found, copyStored(s))
		}
	}
	return found, nil
}

func (j *journal) List(ctx context.Context, f operation.Filter) ([]operation.Record, error) {
	if err := j.usable(ctx); err != nil {
		return nil, err
	}
	d := j.d
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list(f), nil
}

func (j *journal) Close() error {
	j.closed.Store(true)
	return nil
}
