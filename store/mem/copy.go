package mem

import (
	"bytes"
	"slices"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// A copy shares no memory with the original. As from any journal, its times are in UTC, its errors have no Cause, and
// its empty lists are nil; an empty body stays apart from none.

func copyStored(s *operation.Stored) operation.Stored {
	c := operation.Stored{Record: copyRecord(&s.Record)}
	for i := range s.Entries {
		c.Entries = append(c.Entries, copyEntry(&s.Entries[i]))
	}
	for i := range s.Signals {
		c.Signals = append(c.Signals, copySignal(&s.Signals[i]))
	}
	return c
}

func copyRecord(r *operation.Record) operation.Record {
	c := *r
	c.Input, c.Output, c.Error = bytes.Clone(r.Input), bytes.Clone(r.Output), copyError(r.Error)
	c.Created, c.Updated, c.Finished = utc(r.Created), utc(r.Updated), utc(r.Finished)
	c.Deadline, c.WakeAt = utc(r.Deadline), utc(r.WakeAt)
	c.Undo = copyList(r.Undo)
	return c
}

func copyEntry(e *operation.Entry) operation.Entry {
	c := *e
	c.Output, c.Error = bytes.Clone(e.Output), copyError(e.Error)
	c.Begun, c.Ended, c.Next = utc(e.Begun), utc(e.Ended), utc(e.Next)
	return c
}

func copySignal(s *operation.Signal) operation.Signal {
	c := *s
	c.Body, c.At = bytes.Clone(s.Body), utc(s.At)
	return c
}

func copyError(e *transport.Error) *transport.Error {
	if e == nil {
		return nil
	}
	c := *e
	c.Details, c.Fields, c.Cause = bytes.Clone(e.Details), copyList(e.Fields), nil
	return &c
}

func copyList[T any](l []T) []T {
	if len(l) == 0 {
		return nil
	}
	return slices.Clone(l)
}

// utc is the moment t without its zone and without the reading of a monotonic clock.
func utc(t time.Time) time.Time { return t.UTC().Round(0) }
