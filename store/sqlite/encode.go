package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// moment is a time in a column, see zeroTime.
type moment time.Time //nolint:recvcheck // what is written is a value, what is read goes into a pointer

// Value implements driver.Valuer.
func (m moment) Value() (driver.Value, error) { return nanoseconds(time.Time(m)), nil }

// Scan implements sql.Scanner.
func (m *moment) Scan(v any) error {
	n, ok := v.(int64)
	switch {
	case !ok:
		return fmt.Errorf("a time is a %T; want an integer", v)
	case n == zeroTime:
		*m = moment{}
	case n == neverTime:
		*m = moment(operation.Never)
	default:
		*m = moment(time.Unix(0, n).UTC())
	}
	return nil
}

func nanoseconds(t time.Time) int64 {
	switch {
	case t.Year() >= 2262: // the last nanosecond of an int64 is in April 2262
		return neverTime
	case t.Year() < 1678: // the first one is in September 1677
		return zeroTime
	}
	return t.UnixNano()
}

// body is bytes in a column, where null is nil and nothing else. The driver gives an empty blob as a nil slice.
type body []byte

// Scan implements sql.Scanner.
func (b *body) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*b = nil
	case []byte:
		*b = append(make([]byte, 0, len(v)), v...)
	default:
		return fmt.Errorf("a body is a %T; want bytes", v)
	}
	return nil
}

// texts is a list of texts of any bytes in a column; null when all are empty. They stay where they point to.
type texts []*string

// Value implements driver.Valuer.
func (l texts) Value() (driver.Value, error) {
	var list []string
	some := false
	for _, t := range l {
		list = append(list, *t)
		some = some || *t != ""
	}
	if !some {
		return nil, nil
	}
	return encode(list), nil
}

// Scan implements sql.Scanner.
func (l texts) Scan(v any) error {
	list, err := decode(v)
	if err != nil || list == nil {
		return err
	}
	if len(list) != len(l) {
		return fmt.Errorf("an encoded list has %d texts; want %d", len(list), len(l))
	}
	for i, t := range l {
		*t = list[i]
	}
	return nil
}

// names is a list of any length in a column; null when it is empty.
type names []string //nolint:recvcheck // what is written is a value, what is read goes into a pointer

// Value implements driver.Valuer.
func (l names) Value() (driver.Value, error) {
	if len(l) == 0 {
		return nil, nil
	}
	return encode(l), nil
}

// Scan implements sql.Scanner.
func (l *names) Scan(v any) (err error) {
	*l, err = decode(v)
	return err
}

// failure is an error in a column, where it points to; null when there is none.
type failure struct{ at **transport.Error }

// Value implements driver.Valuer. The value is the list of the fields in a fixed order, then Path and Message of Fields.
func (f failure) Value() (driver.Value, error) {
	e := *f.at
	if e == nil {
		return nil, nil
	}
	list := []string{
		string(e.Code), e.Name, e.Message, e.Address, e.ID, e.Peer,
		strconv.FormatBool(e.NotSent), strconv.FormatBool(e.NoRetry), strconv.FormatInt(int64(e.RetryAfter), 10),
		strconv.FormatBool(e.Details != nil), string(e.Details),
	}
	for _, x := range e.Fields {
		list = append(list, x.Path, x.Message)
	}
	return encode(list), nil
}

// Scan implements sql.Scanner.
func (f failure) Scan(v any) error {
	list, err := decode(v)
	if err != nil || list == nil {
		*f.at = nil
		return err
	}
	if len(list) < 11 || len(list)%2 == 0 {
		return fmt.Errorf("an encoded error has %d parts; want 11 and an even number more", len(list))
	}
	e := &transport.Error{
		Code: transport.Code(list[0]), Name: list[1], Message: list[2], Address: list[3], ID: list[4], Peer: list[5],
		NotSent: list[6] == "true", NoRetry: list[7] == "true",
	}
	after, err := strconv.ParseInt(list[8], 10, 64)
	if err != nil {
		return fmt.Errorf("an encoded error's RetryAfter: %w", err)
	}
	e.RetryAfter = time.Duration(after)
	if list[9] == "true" {
		e.Details = []byte(list[10])
	}
	for i := 11; i < len(list); i += 2 {
		e.Fields = append(e.Fields, transport.Field{Path: list[i], Message: list[i+1]})
	}
	*f.at = e
	return nil
}

// listFormat is the first byte of an encoded list. After it comes each text with its length before it.
const listFormat = 1

func encode(list []string) []byte {
	b := []byte{listFormat}
	for _, t := range list {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	return b
}

// decode answers nil for null.
func decode(v any) ([]string, error) {
	b, ok := v.([]byte)
	switch {
	case v == nil:
		return nil, nil
	case !ok || len(b) == 0:
		return nil, errors.New("an encoded value is empty")
	case b[0] != listFormat:
		return nil, fmt.Errorf("a value has format %d; this program knows %d", b[0], listFormat)
	}
	list := []string{}
	for b = b[1:]; len(b) > 0; {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return nil, errors.New("an encoded value is cut off")
		}
		list = append(list, string(b[size:size+int(n)]))
		b = b[size+int(n):]
	}
	return list, nil
}
