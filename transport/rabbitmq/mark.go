package rabbitmq

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// mark is a place in one partition of a stream.
type mark struct {
	kind kind
	n    int64  // an offset of the stream, or nanoseconds of Unix time
	by   string // of markNow: the receiver that made it
}

type kind string

const (
	markAt   kind = "at"   // the offset n and what follows
	markFrom kind = "from" // the first message sent at n or later
	// markNow is the end of the stream as it was when the group began, at n. Who made it begins there exactly; should
	// that receiver be gone before anything came, its successor begins with the second in which that was.
	markNow kind = "now"
)

func (m mark) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %d %s", m.kind, m.n, m.by))
}

func parseMark(s string) (m mark, err error) {
	words := strings.Fields(s)
	if len(words) < 2 || len(words) > 3 {
		return m, fmt.Errorf("position %.40q: want a kind and a number", s)
	}
	m.kind = kind(words[0])
	if m.kind != markAt && m.kind != markFrom && m.kind != markNow {
		return m, fmt.Errorf("position %.40q: want at, from or now", s)
	}
	if m.n, err = strconv.ParseInt(words[1], 10, 64); err != nil || m.n < 0 {
		return m, fmt.Errorf("position %.40q: want a number", s)
	}
	if len(words) == 3 {
		m.by = words[2]
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
func (m mark) offset(self string) any {
	switch {
	case m.kind == markAt && m.n == 0:
		return "first"
	case m.kind == markAt:
		return m.n
	case m.kind == markNow && m.by == self:
		return "next"
	}
	return time.Unix(0, m.n) // the library writes seconds, rounded down
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
func begin(from transport.Position, partition int, now time.Time, self string) mark {
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
	return mark{kind: markNow, n: now.UnixNano(), by: self}
}

// beyond reports whether a message is at or after the position at which a receiver ends.
func beyond(until transport.Position, partition int, d *amqp.Delivery) bool {
	switch {
	case until.At != "":
		p, _ := parsePlace(until.At) // checked by checkRoute
		if p.partition == max(partition, 0) {
			return streamOffset(d) >= p.offset
		}
		return sent(d) >= p.sent && sent(d) > 0
	case !until.Time.IsZero():
		return sent(d) >= until.Time.UnixNano()
	}
	return until.Start
}

func streamOffset(d *amqp.Delivery) int64 {
	n, _ := d.Headers["x-stream-offset"].(int64)
	return n
}
