package journaltest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/store/mem"
	"github.com/parley-io/parley/transport"
)

func TestEachDefectOfAJournalBreaksANamedPromise(t *testing.T) {
	t.Parallel()
	caught := map[string]bool{}
	for _, c := range mutants() {
		name := runtime.FuncForPC(reflect.ValueOf(c.breaks).Pointer()).Name()
		i := slices.IndexFunc(promises, func(p promise) bool {
			return runtime.FuncForPC(reflect.ValueOf(p.try).Pointer()).Name() == name
		})
		if i < 0 {
			t.Fatalf("%s breaks %s; want one of the promises", c.defect, name)
		}
		p := promises[i]
		caught[p.name] = true
		t.Run(p.name+"/"+c.defect, func(t *testing.T) {
			t.Parallel()
			d := mem.New()
			err := p.check(t.Context(), func(ctx context.Context) (operation.Journal, error) {
				j, err := d.Open(ctx)
				m := &mutant{Journal: j}
				c.make(m)
				return m, err
			})
			if err == nil || !strings.Contains(err.Error(), c.found) {
				t.Errorf("check = %v; want a finding with %q", err, c.found)
			}
		})
	}
	for _, p := range promises {
		if !caught[p.name] {
			t.Errorf("no defect breaks %q; want one, or nobody knows that the promise is tried", p.name)
		}
	}
}

type mutation struct {
	breaks func(context.Context, *scene) // the promise
	defect string
	found  string // in the error
	make   defect
}

func mutants() []mutation {
	return slices.Concat(mutantsOfBatches(), mutantsOfParts(), mutantsOfLeases(), mutantsOfReading(), mutantsOfKeeping())
}

func mutantsOfBatches() []mutation {
	return []mutation{
		{refused, "each change is committed alone", "had a change with", func(m *mutant) {
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) (all []operation.Outcome, err error) {
				for _, c := range batch {
					o, err := m.Journal.Commit(ctx, lease, []operation.Change{c})
					if err != nil {
						return nil, err
					}
					all = append(all, o...)
				}
				return all, nil
			}
		}},
		{refused, "a change that is none is passed over", "want an error", func(m *mutant) {
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
				o, err := m.Journal.Commit(ctx, lease, batch)
				if err != nil {
					o, err = m.Journal.Commit(ctx, lease, batch[:1])
				}
				return o, err
			}
		}},
		{inOrder, "the batch is applied backwards", "the outcomes", func(m *mutant) {
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
				batch = slices.Clone(batch)
				slices.Reverse(batch)
				outcomes, err := m.Journal.Commit(ctx, lease, batch)
				slices.Reverse(outcomes)
				return outcomes, err
			}
		}},
		{repeated, "a repeated signal is told as new", "the repeat", answering(func(c operation.Change, o *operation.Outcome) {
			o.Ignored = o.Ignored && c.Signal == nil
		})},
		{repeated, "a repeated batch is told as the first time", "the repeat", answering(func(_ operation.Change, o *operation.Outcome) {
			o.Existing, o.Ignored = nil, false
		})},
		{repeated, "a repeat counts the revision", "after the repeat", func(m *mutant) {
			var count int64
			giving(func(c *operation.Change) {
				if count++; c.Update != nil {
					c.Update.Revision = count
				}
			})(m)
		}},
		{existing, "what is there is answered as what was given", "Existing", answering(func(c operation.Change, o *operation.Outcome) {
			if o.Existing != nil {
				o.Existing = c.Accept
			}
		})},
		{existing, "what is there is not answered", "Existing", answering(func(_ operation.Change, o *operation.Outcome) { o.Existing = nil })},
		{existing, "acceptance replaces what is there", "the operation that was there", overwriting()},
		{existing, "what is there fails the batch", "want as many", func(m *mutant) {
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
				for _, c := range batch {
					if found, _ := m.Journal.Load(ctx, c.Op); c.Accept != nil && len(found) > 0 {
						return nil, errors.New("the key exists")
					}
				}
				return m.Journal.Commit(ctx, lease, batch)
			}
		}},
		{updated, "an update changes the input", "Input", remembering(
			func(c operation.Change) *operation.Record { return c.Update },
			func(o *operation.Stored, last *operation.Record) { o.Input = last.Input })},
		{updated, "an update changes where it comes from", "Trace", remembering(
			func(c operation.Change) *operation.Record { return c.Update },
			func(o *operation.Stored, last *operation.Record) { o.Trace = last.Trace })},
		{updated, "an update leaves the output", "Output", giving(func(c *operation.Change) {
			if c.Update != nil {
				c.Update.Output = nil
			}
		})},
		{updated, "an update cannot take back a deadline", "Deadline", func(m *mutant) {
			var deadline time.Time
			giving(func(c *operation.Change) {
				if c.Update != nil && !c.Update.Deadline.IsZero() {
					deadline = c.Update.Deadline
				} else if c.Update != nil {
					c.Update.Deadline = deadline
				}
			})(m)
		}},
		{done, "a late update is not told as ignored", "Ignored", answering(func(_ operation.Change, o *operation.Outcome) { o.Ignored = false })},
		{done, "a late update changes the output", "Output", remembering(
			func(c operation.Change) *operation.Record { return c.Update },
			func(o *operation.Stored, last *operation.Record) { o.Output = last.Output })},
		{done, "Canceling is taken for an end", "Canceling", func(m *mutant) {
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
				if batch[0].Accept != nil && batch[0].Accept.Status == operation.Canceling {
					o, err := m.Journal.Commit(ctx, lease, batch[:1])
					return append(o, operation.Outcome{Ignored: true}), err
				}
				return m.Journal.Commit(ctx, lease, batch)
			}
		}},
		{missing, "what is missing fails the batch", "want as many", func(m *mutant) {
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
				if batch[0].Accept == nil && len(batch) > 1 {
					return nil, errors.New("a foreign key is missing")
				}
				return m.Journal.Commit(ctx, lease, batch)
			}
		}},
		{missing, "what is missing is not told", "Missing", answering(func(_ operation.Change, o *operation.Outcome) { o.Missing = false })},
		{missing, "an update creates an operation", "never accepted", giving(func(c *operation.Change) {
			if c.Update != nil {
				c.Accept, c.Update = c.Update, nil
			}
		})},
	}
}

// overwriting writes what is accepted over what has its ID.
func overwriting() defect {
	given := map[string]*operation.Record{}
	return both(
		giving(func(c *operation.Change) {
			if c.Accept != nil {
				given[c.Op] = c.Accept
			}
		}),
		loading(func(o *operation.Stored) { o.Record = *given[o.ID] }))
}

// remembering changes what is loaded by the last change of a kind.
func remembering[T any](of func(operation.Change) *T, change func(o *operation.Stored, last *T)) defect {
	var last *T
	return both(
		func(m *mutant) {
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
				for _, c := range batch {
					if x := of(c); x != nil {
						last = x
					}
				}
				return m.Journal.Commit(ctx, lease, batch)
			}
		},
		loading(func(o *operation.Stored) {
			if last != nil {
				change(o, last)
			}
		}))
}

func mutantsOfParts() []mutation {
	lastEntry := func(c operation.Change) *operation.Entry { return c.Entry }
	return []mutation{
		{replaced, "the first attempt stays", "Attempt", giving(func(c *operation.Change) {
			if c.Entry != nil {
				c.Entry.Attempt = 2
			}
		})},
		{replaced, "another attempt is another entry", "elements", func(m *mutant) {
			giving(func(c *operation.Change) {
				if c.Entry != nil {
					c.Entry.Key += fmt.Sprint(c.Entry.Attempt, c.Entry.Seq)
				}
			})(m)
			loading(func(o *operation.Stored) {
				for i := range o.Entries {
					o.Entries[i].Key = strings.TrimRight(o.Entries[i].Key, "1234567890 ")
				}
			})(m)
		}},
		{replaced, "the first place stays", "Seq", giving(func(c *operation.Change) {
			if c.Entry != nil && c.Entry.Seq == 7 {
				c.Entry.Seq = 1
			}
		})},
		{final, "a final entry is replaced", "the entries", remembering(lastEntry, func(o *operation.Stored, last *operation.Entry) {
			o.Entries = []operation.Entry{*last}
		})},
		{final, "a late entry is not told as ignored", "Ignored", answering(func(_ operation.Change, o *operation.Outcome) { o.Ignored = false })},
		{signals, "signals are numbered over all names", "the outcomes", func(m *mutant) {
			n := map[string]int{}
			answering(func(c operation.Change, o *operation.Outcome) {
				if c.Signal != nil && !o.Ignored {
					n[c.Op]++
					o.N = n[c.Op]
				}
			})(m)
		}},
		{signals, "the same signal twice is two", "the outcomes", func(m *mutant) {
			n := 0
			giving(func(c *operation.Change) {
				if n++; c.Signal != nil {
					c.Signal.ID += fmt.Sprint(n)
				}
			})(m)
		}},
		{signals, "a signal is the same only under one name", "the outcomes", giving(func(c *operation.Change) {
			if c.Signal != nil {
				c.Signal.ID += c.Signal.Name
			}
		})},
		{signals, "a signal is the same in all operations", "other operation", func(m *mutant) {
			first := map[string]string{}
			giving(func(c *operation.Change) {
				if c.Signal == nil {
					return
				}
				if first[c.Signal.ID] == "" {
					first[c.Signal.ID] = c.Op
				}
				c.Op = first[c.Signal.ID]
			})(m)
		}},
		{signals, "the caller says the number", "the signals", remembering(
			func(c operation.Change) *operation.Signal { return c.Signal },
			func(o *operation.Stored, _ *operation.Signal) {
				for i := range o.Signals {
					if o.Signals[i].ID == "3" {
						o.Signals[i].N = 70
					}
				}
			})},
	}
}

func mutantsOfLeases() []mutation {
	return []mutation{
		{fenced, "an older epoch of the worker may commit", "an older epoch", func(m *mutant) {
			var now operation.Lease
			m.register = func(ctx context.Context, worker string) (l operation.Lease, err error) {
				now, err = m.Journal.Register(ctx, worker)
				return now, err
			}
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
				if lease.Worker == now.Worker && lease.Journal == now.Journal && lease.Epoch <= now.Epoch {
					lease = now
				}
				return m.Journal.Commit(ctx, lease, batch)
			}
		}},
		{fenced, "the fence comes after the first change", "it was accepted with", func(m *mutant) {
			var now operation.Lease
			m.register = func(ctx context.Context, worker string) (l operation.Lease, err error) {
				now, err = m.Journal.Register(ctx, worker)
				return now, err
			}
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
				if lease != now {
					_, _ = m.Journal.Commit(ctx, now, batch[:1])
				}
				return m.Journal.Commit(ctx, lease, batch)
			}
		}},
		{fenced, "the fence has another error", "want ErrFenced", func(m *mutant) {
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
				o, err := m.Journal.Commit(ctx, lease, batch)
				if err != nil {
					err = fmt.Errorf("not now: %v", err)
				}
				return o, err
			}
		}},
		{epochs, "epochs begin again with each process", "want a higher one", func(m *mutant) {
			epoch := int64(0)
			m.register = func(ctx context.Context, worker string) (operation.Lease, error) {
				l, err := m.Journal.Register(ctx, worker)
				epoch++
				l.Epoch = epoch
				return l, err
			}
		}},
		{epochs, "each process has another identity", "want the same", func(m *mutant) {
			m.register = func(ctx context.Context, worker string) (operation.Lease, error) {
				l, err := m.Journal.Register(ctx, worker)
				l.Journal = fmt.Sprintf("%p", m)
				return l, err
			}
		}},
		{closed, "Close does nothing", "is closed", func(m *mutant) { m.close = func() error { return nil } }},
		{closed, "the second Close fails", "second time", func(m *mutant) {
			count := 0
			m.close = func() error {
				if count++; count > 1 {
					return errors.New("closed already")
				}
				return m.Journal.Close()
			}
		}},
	}
}

func mutantsOfReading() []mutation {
	return []mutation{
		{loadOrder, "by id", "the ids", func(m *mutant) {
			m.load = func(ctx context.Context, ids ...string) ([]operation.Stored, error) {
				return m.Journal.Load(ctx, slices.Sorted(slices.Values(ids))...)
			}
		}},
		{loadOrder, "256 at the most", "many ids", func(m *mutant) {
			m.load = func(ctx context.Context, ids ...string) ([]operation.Stored, error) {
				return m.Journal.Load(ctx, ids[:min(256, len(ids))]...)
			}
		}},
		{loadOrder, "what does not exist is empty", "the ids", func(m *mutant) {
			m.load = func(ctx context.Context, ids ...string) (all []operation.Stored, err error) {
				for _, id := range ids {
					found, err := m.Journal.Load(ctx, id)
					if err != nil {
						return nil, err
					}
					all = append(all, append(found, operation.Stored{})[0])
				}
				return all, nil
			}
		}},
		{loadAll, "entries by key", "Entries", loading(func(o *operation.Stored) {
			slices.SortFunc(o.Entries, func(a, b operation.Entry) int { return cmp.Compare(a.Key, b.Key) })
		})},
		{loadAll, "signals by id", "Signals", loading(func(o *operation.Stored) {
			slices.SortFunc(o.Signals, func(a, b operation.Signal) int { return cmp.Compare(a.ID, b.ID) })
		})},
		{loadAll, "entries of the first operation only", "elements", func(m *mutant) {
			m.load = func(ctx context.Context, ids ...string) ([]operation.Stored, error) {
				found, err := m.Journal.Load(ctx, ids...)
				for i := range found {
					if i > 0 {
						found[i].Entries = nil
					}
				}
				return found, err
			}
		}},
		{loadAll, "the trace is not kept", "Trace", loading(func(o *operation.Stored) { o.Trace = "" })},
		{loadAll, "who told it is not kept", "Source", loading(func(o *operation.Stored) {
			for i := range o.Signals {
				o.Signals[i].Source = ""
			}
		})},
		{listFilter, "the version does not matter", "Version:2", filtering(func(f *operation.Filter) { f.Version = 0 })},
		{listFilter, "only the first status matters", "Statuses", filtering(func(f *operation.Filter) {
			f.Statuses = f.Statuses[:min(1, len(f.Statuses))]
		})},
		{listFilter, "what is due is due in any version", "DueBefore", filtering(func(f *operation.Filter) {
			if !f.DueBefore.IsZero() {
				f.Version = 0
			}
		})},
		{listFilter, "the address does not matter", "the ids", filtering(func(f *operation.Filter) { f.Address = "" })},
		{listFilter, "a list has no input", "Input", paging(func(_ operation.Filter, page []operation.Record) []operation.Record {
			for i := range page {
				page[i].Input = nil
			}
			return page
		})},
		{listNewest, "oldest first", "the ids", paging(func(_ operation.Filter, page []operation.Record) []operation.Record {
			slices.Reverse(page)
			return page
		})},
		{listNewest, "ids rise at one time", "the ids", paging(func(_ operation.Filter, page []operation.Record) []operation.Record {
			slices.SortFunc(page, func(a, b operation.Record) int {
				return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
			})
			return page
		})},
		{listPages, "no limit", "want 100", filtering(func(f *operation.Filter) { f.Limit = cmp.Or(f.Limit, 1000) })},
		{listPages, "pages by count", "ids of all pages", func(m *mutant) {
			served := 0
			m.list = func(ctx context.Context, f operation.Filter) ([]operation.Record, error) {
				if f.After == nil {
					served = 0
				}
				limit := f.Limit
				f.After, f.Limit = nil, 10000
				all, err := m.Journal.List(ctx, f)
				page := all[min(served, len(all)):min(served+limit, len(all))]
				served += len(page)
				return page, err
			}
		}},
		{listPages, "the page after begins with the next time", "newest: the ids of all pages", filtering(func(f *operation.Filter) {
			if f.After != nil && f.DueBefore.IsZero() {
				f.After = new(*f.After)
				f.After.ID = ""
			}
		})},
		{listPages, "the page after begins with the same time", "due: the ids of all pages", filtering(func(f *operation.Filter) {
			if f.After != nil && !f.DueBefore.IsZero() {
				f.After = new(*f.After)
				f.After.ID = ""
			}
		})},
		{listDue, "at that time", "are due", filtering(func(f *operation.Filter) {
			if f.DueBefore.Equal(noon) {
				f.DueBefore = f.DueBefore.Add(1)
			}
		})},
		{listDue, "never is a time", "some day", filtering(func(f *operation.Filter) {
			if f.DueBefore.Equal(operation.Never) {
				f.DueBefore = f.DueBefore.Add(1)
			}
		})},
		{listDue, "those that wake at once are forgotten", "are due", paging(func(f operation.Filter, page []operation.Record) []operation.Record {
			return slices.DeleteFunc(page, func(r operation.Record) bool { return !f.DueBefore.IsZero() && r.WakeAt.IsZero() })
		})},
		{listDue, "parked ones are not open", "are due", paging(func(f operation.Filter, page []operation.Record) []operation.Record {
			return slices.DeleteFunc(page, func(r operation.Record) bool { return r.Status == operation.Parked })
		})},
		{listDue, "by creation", "are due", paging(func(_ operation.Filter, page []operation.Record) []operation.Record {
			slices.SortFunc(page, func(a, b operation.Record) int { return a.Created.Compare(b.Created) })
			return page
		})},
		{listDue, "those that are done too", "are due", func(m *mutant) {
			m.list = func(ctx context.Context, f operation.Filter) ([]operation.Record, error) {
				f.DueBefore = time.Time{}
				return m.Journal.List(ctx, f)
			}
		}},
	}
}

func mutantsOfKeeping() []mutation {
	return []mutation{
		{forgotten, "the steps stay", "Entries", remembering(
			func(c operation.Change) *operation.Entry { return c.Entry },
			func(o *operation.Stored, last *operation.Entry) { o.Entries = []operation.Entry{*last} })},
		{forgotten, "at that time", "Forgot", giving(func(c *operation.Change) {
			if !c.Forget.IsZero() {
				c.Forget = c.Forget.Add(1)
			}
		})},
		{forgotten, "nothing is forgotten", "was forgotten", giving(func(c *operation.Change) {
			if !c.Forget.IsZero() {
				c.Forget = c.Forget.Add(-time.Hour * 24 * 365)
			}
		})},
		{forgotten, "one at a time", "Forgot", answering(func(_ operation.Change, o *operation.Outcome) { o.Forgot = min(o.Forgot, 1) })},
		{durable, "each process has a database of its own", "want 1", func(m *mutant) {
			m.Journal, _ = mem.New().Open(context.Background())
		}},
		{durable, "what is not final is lost", "Entries", func(m *mutant) {
			written := false
			giving(func(c *operation.Change) { written = true })(m)
			loading(func(o *operation.Stored) {
				if !written {
					o.Entries = nil
				}
			})(m)
		}},
		{concurrent, "the record is read before its entries", "Load", staleRecord()},
		{concurrent, "a commit beside another is refused", "Commit beside others", func(m *mutant) {
			var busy sync.Mutex
			m.commit = func(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
				if !busy.TryLock() {
					return nil, errors.New("the database is locked")
				}
				defer busy.Unlock()
				for range 100 {
					runtime.Gosched() // so that another one comes
				}
				return m.Journal.Commit(ctx, lease, batch)
			}
		}},
		{times, "microseconds", "a time", loading(func(o *operation.Stored) { o.Updated = o.Updated.Truncate(time.Microsecond) })},
		{times, "zero is 1970", "a time", loading(func(o *operation.Stored) {
			if o.Deadline.IsZero() {
				o.Deadline = time.Unix(0, 0).UTC()
			}
		})},
		{times, "1970 is zero", "a time", loading(func(o *operation.Stored) {
			if o.Deadline.Equal(time.Unix(0, 0)) {
				o.Deadline = time.Time{}
			}
		})},
		{times, "never overflows", "a time", loading(func(o *operation.Stored) {
			o.WakeAt = time.Unix(0, o.WakeAt.UnixNano()).UTC()
		})},
		{times, "the zone stays", "a time", loading(func(o *operation.Stored) {
			o.Signals[0].At = o.Signals[0].At.In(time.FixedZone("far", 7*60*60))
		})},
		{failures, "RetryAfter is lost", "RetryAfter", errorsOf(func(e *transport.Error) { e.RetryAfter = 0 })},
		{failures, "Fields are lost", "Fields", errorsOf(func(e *transport.Error) { e.Fields = nil })},
		{failures, "Details are lost", "Details", errorsOf(func(e *transport.Error) { e.Details = nil })},
		{failures, "the peer is lost", "Peer", errorsOf(func(e *transport.Error) { e.Peer = "" })},
		{failures, "an empty error is none", "the error", loading(func(o *operation.Stored) {
			if o.Error != nil && o.Error.Code == "" && o.Error.Message == "" {
				o.Error = nil
			}
		})},
		{failures, "the cause stays", "Cause", errorsOf(func(e *transport.Error) { e.Cause = errCause })},
		{bodies, "empty is nil", "Input", loading(func(o *operation.Stored) {
			if len(o.Input) == 0 {
				o.Input = nil
			}
		})},
		{bodies, "nil is empty", "the body of a signal", loading(func(o *operation.Stored) {
			if o.Signals[0].Body == nil {
				o.Signals[0].Body = []byte{}
			}
		})},
		{large, "a body is cut", "that were given", loading(func(o *operation.Stored) { o.Output = o.Output[:1<<20-1] })},
		{identifiers, "ids in lower case", "the outcome of A", giving(func(c *operation.Change) {
			c.Op = strings.ToLower(c.Op)
			if c.Accept != nil {
				c.Accept.ID = strings.ToLower(c.Accept.ID)
			}
		})},
		{identifiers, "keys in lower case", "the entries of", loading(func(o *operation.Stored) {
			o.Entries[0].Key = strings.ToLower(o.Entries[0].Key)
		})},
		{identifiers, "keys are numbers", "the entries of 007", loading(func(o *operation.Stored) {
			o.Entries[0].Key = strings.TrimLeft(o.Entries[0].Key, "0")
		})},
		{texts, "a text ends with a zero byte", "Parked", loading(func(o *operation.Stored) { o.Parked, _, _ = strings.Cut(o.Parked, "\x00") })},
		{texts, "a text is UTF-8", "Error.Message", loading(func(o *operation.Stored) {
			o.Error.Message = strings.ToValidUTF8(o.Error.Message, "?")
		})},
		{texts, "an empty undo is none", "Undo", loading(func(o *operation.Stored) {
			o.Undo = slices.DeleteFunc(o.Undo, func(name string) bool { return name == "" })
		})},
		{owned, "what was given is kept", "what was given", remembering(
			func(c operation.Change) *operation.Record { return c.Accept },
			func(o *operation.Stored, last *operation.Record) { o.Input = last.Input })},
		{owned, "the number is written into what was given", "untouched", answering(func(c operation.Change, o *operation.Outcome) {
			if c.Signal != nil {
				c.Signal.N = o.N
			}
		})},
		{owned, "what is answered is kept", "what was loaded", sharedAnswer()},
	}
}

func errorsOf(change func(e *transport.Error)) defect {
	return loading(func(o *operation.Stored) {
		if o.Error != nil {
			change(o.Error)
		}
	})
}

// staleRecord answers with new entries the record as it was when it was loaded last.
func staleRecord() defect {
	var mu sync.Mutex
	last := map[string]operation.Record{}
	return loading(func(o *operation.Stored) {
		mu.Lock()
		defer mu.Unlock()
		before, ok := last[o.ID]
		last[o.ID] = o.Record
		if ok {
			o.Record = before
		}
	})
}

// sharedAnswer answers the same memory each time.
func sharedAnswer() defect {
	var output []byte
	return loading(func(o *operation.Stored) {
		if output == nil {
			output = o.Output
		}
		o.Output = output
	})
}
