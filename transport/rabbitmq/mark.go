package rabbitmq

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
)

// mark is a place in one partition of a stream.
type mark struct {
	kind kind  // "" = now: the stream's end, which is still to be found
	n    int64 // an offset of the stream, or nanoseconds of Unix time
	// sent is when the message before an offset was sent, which shows that the stream is still the same; 0 = unknown.
	sent int64
}

type kind string

const (
	markAt   kind = "at"   // the offset n and what follows
	markFrom kind = "from" // the first message sent at n or later
	// markNew is the offset n, too, of a group of which nothing was handled yet.
	markNew kind = "new"
)

func (m mark) String() string {
	if m.sent == 0 {
		return fmt.Sprintf("%s %d", m.kind, m.n)
	}
	return fmt.Sprintf("%s %d %d", m.kind, m.n, m.sent)
}

func parseMark(s string) (m mark, err error) {
	words := strings.Fields(s)
	if len(words) < 2 || len(words) > 3 {
		return m, fmt.Errorf("position %.40q: want a kind and a number", s)
	}
	m.kind = kind(words[0])
	if m.kind != markAt && m.kind != markFrom && m.kind != markNew {
		return m, fmt.Errorf("position %.40q: want at, from or new", s)
	}
	for i, n := range []*int64{&m.n, &m.sent}[:len(words)-1] {
		if *n, err = strconv.ParseInt(words[i+1], 10, 64); err != nil || *n < 0 {
			return m, fmt.Errorf("position %.40q: want a number", s)
		}
	}
	return m, nil
}

// newer reports whether m is to be believed rather than o: an offset says what was handled, and the highest is the
// newest. Of beginnings the earliest counts.
func (m mark) newer(o mark) bool {
	switch {
	case m.kind == markAt && o.kind == markAt:
		return m.n > o.n
	case m.kind == markAt || o.kind == markAt:
		return m.kind == markAt
	}
	return m.n < o.n
}

// offset is how a consumer of a stream asks for m.
func (m mark) offset() any {
	switch {
	case m.kind == markFrom:
		return time.Unix(0, m.n) // the library writes seconds, rounded down
	case m.n == 0:
		return "first"
	}
	return m.n
}

// place is the opaque position of a delivery: partition, offset, and when it was sent, for the other partitions.
type place struct {
	partition int
	offset    int64
	sent      int64
}

func (p place) String() string { return fmt.Sprintf("%d:%d:%d", p.partition, p.offset, p.sent) }

func parsePlace(s string) (p place, err error) {
	bad := fmt.Errorf("position %.60q: want one from a Delivery of this channel", s)
	words := strings.Split(s, ":")
	if len(words) != 3 {
		return p, bad
	}
	var errs [3]error
	p.partition, errs[0] = strconv.Atoi(words[0])
	p.offset, errs[1] = strconv.ParseInt(words[1], 10, 64)
	p.sent, errs[2] = strconv.ParseInt(words[2], 10, 64)
	if errs != [3]error{} || p.partition < 0 || p.partition >= transport.MaxPartitions || p.offset < 0 || p.sent < 0 {
		return p, bad
	}
	return p, nil
}

// begin is where a partition begins that is read from a position.
func begin(from transport.Position, partition int) mark {
	switch {
	case from.At != "":
		p, _ := parsePlace(from.At) // checked by checkRoute
		if p.partition == max(partition, 0) {
			return mark{kind: markAt, n: p.offset}
		}
		return mark{kind: markFrom, n: p.sent}
	case !from.Time.IsZero():
		return mark{kind: markFrom, n: max(from.Time.UnixNano(), 0)}
	case from.Start:
		return mark{kind: markAt}
	}
	return mark{}
}

// beyond reports whether a message is at or after the position at which a receiver ends.
func beyond(until transport.Position, partition int, e *entry) bool {
	switch {
	case until.At != "":
		p, _ := parsePlace(until.At) // checked by checkRoute
		if p.partition == max(partition, 0) {
			return e.offset >= p.offset
		}
		return e.sent >= p.sent && e.sent > 0
	case !until.Time.IsZero():
		return e.sent >= until.Time.UnixNano()
	}
	return until.Start
}

// offsetHeader is a message's place in a stream, from the server.
const offsetHeader = "x-stream-offset"
