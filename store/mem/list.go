package mem

import (
	"cmp"
	"slices"
	"strings"

	"github.com/parley-io/parley/operation"
)

func (d *Database) list(f operation.Filter) []operation.Record {
	order := newest
	if !f.DueBefore.IsZero() {
		order = due
	}
	var found []*operation.Record
	for _, s := range d.ops {
		if matches(f, &s.Record) && (f.After == nil || order(&s.Record, f.After) > 0) {
			found = append(found, &s.Record)
		}
	}
	slices.SortFunc(found, order)
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	var page []operation.Record
	for _, r := range found[:min(limit, len(found))] {
		page = append(page, copyRecord(r))
	}
	return page
}

func matches(f operation.Filter, r *operation.Record) bool {
	return (f.Address == "" || f.Address == r.Address) &&
		(f.Version == 0 || f.Version == r.Version) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, r.Status)) &&
		(f.DueBefore.IsZero() || !r.Status.Done() && r.WakeAt.Before(f.DueBefore))
}

// due orders by WakeAt, then Created, then ID.
func due(a, b *operation.Record) int {
	return cmp.Or(a.WakeAt.Compare(b.WakeAt), a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
}

// newest orders by Created, then ID, both falling.
func newest(a, b *operation.Record) int {
	return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID))
}
