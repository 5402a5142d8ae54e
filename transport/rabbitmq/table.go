package rabbitmq

import (
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// table is a table of AMQP as it is on the wire, without the length before it: names, types and values.
type table []byte

// putText adds an entry; its name has two parts, of maxShort bytes at the most together.
func (t *table) putText(start, name, value string) {
	b := append(*t, byte(len(start)+len(name)))
	b = append(append(b, start...), name...)
	b = binary.BigEndian.AppendUint32(append(b, 'S'), uint32(len(value)))
	b = append(b, value...)
	*t = b
}

// putNumber adds an entry, whose name has maxShort bytes at the most.
func (t *table) putNumber(name string, n int64) {
	b := append(append(*t, byte(len(name))), name...)
	*t = binary.BigEndian.AppendUint64(append(b, 'l'), uint64(n))
}

// putVoid adds an entry without a value.
func (t *table) putVoid(name string) {
	*t = append(append(append(*t, byte(len(name))), name...), 'V')
}

// fields is a table that came. What follows from it shares its memory.
type fields string

// field is a value of a table: its type and its bytes, without the length before them.
type field struct {
	kind byte
	raw  string
}

var errTable = errors.New("its headers cannot be read")

// all are the names and values; the zero field comes last where the rest cannot be read.
func (t fields) all() iter.Seq2[string, field] {
	return func(yield func(string, field) bool) {
		r := scan{rest: string(t)}
		for r.rest != "" {
			name, f := r.short(), r.field()
			if r.failed {
				name, f = "", field{}
			}
			if !yield(name, f) {
				return
			}
		}
	}
}

// find is the value of a name; the zero field where there is none.
func (t fields) find(name string) field {
	for n, f := range t.all() {
		if n == name {
			return f
		}
	}
	return field{}
}

// number is a value that the server or this driver wrote as a long one; 0 = it is none.
func (t fields) number(name string) int64 {
	n, _ := t.find(name).value().(int64)
	return n
}

// text is [text] of a field.
func (f field) text() (string, error) {
	if f.kind == 'S' {
		return f.raw, nil
	}
	return text(f.value())
}

// value is a field in the type that the client library has for it; of what has no text, nothing but the type.
func (f field) value() any {
	n := func() (n uint64) { // of up to eight bytes
		for i := range len(f.raw) {
			n = n<<8 | uint64(f.raw[i])
		}
		return n
	}
	switch f.kind {
	case 'S':
		return f.raw
	case 'x':
		return []byte(f.raw)
	case 't':
		return n() != 0
	case 'b':
		return int8(n())
	case 'B':
		return uint8(n())
	case 's':
		return int16(n())
	case 'u':
		return uint16(n())
	case 'I':
		return int32(n())
	case 'i':
		return uint32(n())
	case 'l':
		return int64(n())
	case 'T':
		return time.Unix(int64(n()), 0)
	case 'f':
		return math.Float32frombits(uint32(n()))
	case 'd':
		return math.Float64frombits(n())
	case 'D':
		return amqp.Decimal{}
	case 'F':
		return amqp.Table{}
	case 'A':
		return []any{}
	}
	return nil
}

// scan reads what is in front of rest, and takes it away. Where it is not there, failed is true from then on.
type scan struct {
	rest   string
	failed bool
}

func (r *scan) take(n uint64) string {
	if r.failed || n > uint64(len(r.rest)) {
		r.rest, r.failed = "", true
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// number is one of so many bytes, at most eight.
func (r *scan) number(bytes uint64) (n uint64) {
	for s := r.take(bytes); s != ""; s = s[1:] {
		n = n<<8 | uint64(s[0])
	}
	return n
}

func (r *scan) short() string { return r.take(r.number(1)) }

func (r *scan) long() string { return r.take(r.number(4)) }

func (r *scan) field() field {
	f := field{kind: byte(r.number(1))}
	switch f.kind {
	case 't', 'b', 'B':
		f.raw = r.take(1)
	case 's', 'u':
		f.raw = r.take(2)
	case 'I', 'i', 'f':
		f.raw = r.take(4)
	case 'l', 'd', 'T':
		f.raw = r.take(8)
	case 'D':
		f.raw = r.take(5)
	case 'S', 'x', 'F', 'A':
		f.raw = r.long()
	case 'V':
	default:
		r.rest, r.failed = "", true
	}
	return f
}
