package mem

import (
	"cmp"
	"slices"
	"strings"

	"github.com/parley-io/parley/operation"
)

func (d *Database) apply(c *operation.Change) operation.Outcome {
	s := d.ops[c.Op]
	switch {
	case !c.Forget.IsZero():
		before := len(d.ops)
		for id, s := range d.ops {
			if !s.Finished.IsZero() && s.Finished.Before(c.Forget) {
				delete(d.ops, id)
			}
		}
		return operation.Outcome{Forgot: before - len(d.ops)}
	case c.Accept != nil && s != nil:
		return operation.Outcome{Existing: new(copyRecord(&s.Record))}
	case c.Accept != nil:
		d.ops[c.Op] = &operation.Stored{Record: copyRecord(c.Accept)}
		return operation.Outcome{}
	case s == nil:
		return operation.Outcome{Missing: true}
	case c.Update != nil:
		return update(s, c.Update)
	case c.Entry != nil:
		return enter(s, c.Entry)
	default:
		return signal(s, c.Signal)
	}
}

func update(s *operation.Stored, to *operation.Record) operation.Outcome {
	if s.Status.Done() {
		return operation.Outcome{Ignored: true}
	}
	old := s.Record
	s.Record = copyRecord(to)
	s.ID, s.Address, s.Version, s.Input, s.Created = old.ID, old.Address, old.Version, old.Input, old.Created
	s.Source, s.Key, s.Correlation, s.Causation, s.Trace = old.Source, old.Key, old.Correlation, old.Causation, old.Trace
	return operation.Outcome{}
}

func enter(s *operation.Stored, e *operation.Entry) operation.Outcome {
	at := slices.IndexFunc(s.Entries, func(x operation.Entry) bool { return x.Key == e.Key })
	switch {
	case at < 0:
		s.Entries = append(s.Entries, copyEntry(e))
	case s.Entries[at].Final():
		return operation.Outcome{Ignored: true}
	default:
		s.Entries[at] = copyEntry(e)
	}
	slices.SortFunc(s.Entries, func(a, b operation.Entry) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), strings.Compare(a.Key, b.Key))
	})
	return operation.Outcome{}
}

func signal(s *operation.Stored, g *operation.Signal) operation.Outcome {
	n := 1
	for _, x := range s.Signals {
		if x.ID == g.ID {
			return operation.Outcome{Ignored: true, N: x.N}
		}
		if x.Name == g.Name {
			n++
		}
	}
	x := copySignal(g)
	x.N = n
	s.Signals = append(s.Signals, x)
	slices.SortFunc(s.Signals, func(a, b operation.Signal) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.N, b.N))
	})
	return operation.Outcome{N: n}
}
