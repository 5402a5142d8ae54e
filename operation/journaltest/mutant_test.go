package journaltest

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mutant is a journal with one defect. The nil functions do what mem does.
type mutant struct {
	operation.Journal
	register func(ctx context.Context, worker string) (operation.Lease, error)
	commit   func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error)
	load     func(ctx context.Context, ids ...string) ([]operation.Stored, error)
	list     func(ctx context.Context, f operation.Filter) ([]operation.Record, error)
	close    func() error
}

func (m *mutant) Register(ctx context.Context, worker string) (operation.Lease, error) {
	if m.register != nil {
		return m.register(ctx, worker)
	}
	return m.Journal.Register(ctx, worker)
}

func (m *mutant) Commit(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
	if m.commit != nil {
		return m.commit(ctx, lease, batch)
	}
	return m.Journal.Commit(ctx, lease, batch)
}

func (m *mutant) Load(ctx context.Context, ids ...string) ([]operation.Stored, error) {
	if m.load != nil {
		return m.load(ctx, ids...)
	}
	return m.Journal.Load(ctx, ids...)
}

func (m *mutant) List(ctx context.Context, f operation.Filter) ([]operation.Record, error) {
	if m.list != nil {
		return m.list(ctx, f)
	}
	return m.Journal.List(ctx, f)
}

func (m *mutant) Close() error {
	if m.close != nil {
		return m.close()
	}
	return m.Journal.Close()
}

// defect makes a journal defective. It is called for each that is opened on one database.
type defect func(m *mutant)

// giving is a defect of what is given to Commit.
func giving(change func(c *operation.Change)) defect {
	return func(m *mutant) {
		m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
			var other []operation.Change
			for _, c := range batch {
				switch { // a copy that may be changed
				case c.Accept != nil:
					c.Accept = new(*c.Accept)
				case c.Update != nil:
					c.Update = new(*c.Update)
				case c.Entry != nil:
					c.Entry = new(*c.Entry)
				case c.Signal != nil:
					c.Signal = new(*c.Signal)
				}
				change(&c)
				other = append(other, c)
			}
			return m.Journal.Commit(ctx, lease, other)
		}
	}
}

// answering is a defect of the outcomes.
func answering(change func(c operation.Change, o *operation.Outcome)) defect {
	return func(m *mutant) {
		m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
			outcomes, err := m.Journal.Commit(ctx, lease, batch)
			for i := range outcomes {
				change(batch[i], &outcomes[i])
			}
			return outcomes, err
		}
	}
}

// loading is a defect of what Load answers.
func loading(change func(o *operation.Stored)) defect {
	return func(m *mutant) {
		m.load = func(ctx context.Context, ids ...string) ([]operation.Stored, error) {
			found, err := m.Journal.Load(ctx, ids...)
			for i := range found {
				change(&found[i])
			}
			return found, err
		}
	}
}

// filtering is a defect of List that asks for something else.
func filtering(change func(f *operation.Filter)) defect {
	return func(m *mutant) {
		m.list = func(ctx context.Context, f operation.Filter) ([]operation.Record, error) {
			change(&f)
			return m.Journal.List(ctx, f)
		}
	}
}

// paging is a defect of what List answers.
func paging(change func(f operation.Filter, page []operation.Record) []operation.Record) defect {
	return func(m *mutant) {
		m.list = func(ctx context.Context, f operation.Filter) ([]operation.Record, error) {
			page, err := m.Journal.List(ctx, f)
			return change(f, page), err
		}
	}
}

func both(a, b defect) defect {
	return func(m *mutant) {
		a(m)
		b(m)
	}
}

func TestASoundJournalBreaksNothing(t *testing.T) {
	t.Parallel()
	d := mem.New()
	for range 2 { // a second time, beside what the first has left
		if err := Check(t.Context(), d.Open); err != nil {
			t.Errorf("Check of mem = %v; want nil", err)
		}
	}
}

func TestAJournalThatCannotBeOpenedBreaksEachPromise(t *testing.T) {
	t.Parallel()
	broken := errors.New("no disk")
	err := Check(t.Context(), func(context.Context) (operation.Journal, error) { return nil, broken })
	all, ok := err.(interface{ Unwrap() []error })
	if !ok || len(all.Unwrap()) != len(promises) {
		t.Errorf("Check = %v; want a finding for each of %d promises", err, len(promises))
	}
}

func TestAPanicOfAJournalIsAFinding(t *testing.T) {
	t.Parallel()
	err := promises[0].check(t.Context(), func(context.Context) (operation.Journal, error) { panic("oops") })
	if err == nil {
		t.Error("check of a journal that panics = nil; want a finding")
	}
}
