package mem

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/parley-io/parley/transport"
)

// bound is a Route's Until. The zero bound is none.
type bound struct {
	set      bool
	sequence uint64    // 0 = none
	time     time.Time // zero = none
}

func newBound(route transport.Route) (bound, error) {
	u := route.Until
	if u.IsZero() {
		return bound{}, nil
	}
	b := bound{set: true}
	switch {
	case u.At != "":
		n, err := parsePosition(u.At)
		if err != nil {
			return bound{}, fmt.Errorf("until: %w", err)
		}
		b.sequence = n
	case !u.Time.IsZero():
		b.time = u.Time
	}
	return b, nil
}

// ends reports whether m is not before the bound.
func (b bound) ends(m *message) bool {
	switch {
	case !b.set:
		return false
	case b.sequence > 0:
		return m.sequence >= b.sequence
	case !b.time.IsZero():
		return !m.stored.Before(b.time)
	}
	return true // before the start is nothing
}

// passed reports whether no message that is still to come can be before the bound: a position is that of a message
// which exists.
func (b bound) passed() bool {
	return b.set && !time.Now().Before(b.time)
}

// clock fires when b's time comes; nil if it has none or is over.
func (b bound) clock() <-chan time.Time {
	if d := time.Until(b.time); b.set && d > 0 {
		return time.After(d)
	}
	return nil
}

// find is the index in the log at which a position begins.
func (c *channel) find(from transport.Position) (int, error) {
	log := c.log.all()
	switch {
	case from.At != "":
		n, err := parsePosition(from.At)
		if err != nil {
			return 0, fmt.Errorf("from: %w", err)
		}
		i, _ := slices.BinarySearchFunc(log, n, func(m *message, n uint64) int { return cmp.Compare(m.sequence, n) })
		return i, nil
	case !from.Time.IsZero():
		i, _ := slices.BinarySearchFunc(log, from.Time, func(m *message, t time.Time) int {
			if m.stored.Before(t) {
				return -1
			}
			return 1 // the first of several at the same time
		})
		return i, nil
	case from.Start:
		return 0, nil
	}
	return len(log), nil
}

func (m *message) position() string { return strconv.FormatUint(m.sequence, 10) }

func parsePosition(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("position %q: want one from a Receipt or Delivery of this channel", s)
	}
	return n, nil
}
