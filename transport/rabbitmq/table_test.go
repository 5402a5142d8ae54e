package rabbitmq

import (
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

func TestAttributesOfAllTypesAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, wire, want string
	}{
		{"text", "S\x00\x00\x00\x02ab", "ab"},
		{"bytes", "x\x00\x00\x00\x02ab", "ab"},
		{"truth", "t\x01", "true"},
		{"octet", "B\xff", "255"},
		{"signed octet", "b\xff", "-1"},
		{"short", "s\xff\xfe", "-2"},
		{"unsigned short", "u\xff\xfe", "65534"},
		{"int", "I\xff\xff\xff\xfd", "-3"},
		{"unsigned int", "i\xff\xff\xff\xfd", "4294967293"},
		{"long", "l\xff\xff\xff\xff\xff\xff\xff\xfc", "-4"},
		{"time", "T\x00\x00\x00\x00\x00\x00\x00\x01", "1970-01-01T00:00:01Z"},
		{"void", "V", ""},
		{"double", "d\x3f\xf0\x00\x00\x00\x00\x00\x00", ""},
		{"float", "f\x3f\x80\x00\x00", ""},
		{"decimal", "D\x00\x00\x00\x00\x01", ""},
		{"table", "F\x00\x00\x00\x03\x01aV", ""},
		{"array", "A\x00\x00\x00\x01V", ""},
	} {
		headers := fields("\x01a" + c.wire + "\x01bS\x00\x00\x00\x01z")
		got, err := headers.find("a").text()
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: text = %q, %v; want %q", c.name, got, err, c.want)
		}
		if last := headers.find("b"); last.raw != "z" {
			t.Errorf("%s: what follows it is %+v; want text z", c.name, last)
		}
	}
}

// What a table cannot be read to its end says so, and never more than it has is read.
func FuzzATableIsReadToItsEndOrSaysThatItIsNot(f *testing.F) {
	f.Add("\x01aS\x00\x00\x00\x02ab")
	f.Add("\x01a?\x00")
	f.Add("\xff")
	f.Fuzz(func(t *testing.T, s string) {
		var again table
		whole := true
		for name, v := range fields(s).all() {
			if whole = v.kind != 0; !whole {
				break
			}
			again = append(append(append(again, byte(len(name))), name...), v.kind)
			if strings.IndexByte("SxFA", v.kind) >= 0 {
				n := len(v.raw)
				again = append(again, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
			}
			again = append(again, v.raw...)
		}
		if whole && string(again) != s {
			t.Errorf("all of %q = %q; want the same", s, again)
		}
		d := &delivery{properties: properties{headers: fields(s)}}
		if e := decode("a.b", func() string { return "place" }, d); !whole && e.Headers[transport.Malformed] == "" {
			t.Errorf("decode of headers %q = %+v; want a malformed one", s, e)
		}
	})
}

func TestWhatAMoverHandsOnHasTheAttributesOfItsSender(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0)
	headers := fields(forward(&amqp.Delivery{Headers: amqp.Table{"number": int32(7), "time": at, "table": amqp.Table{}}}).headers)
	for name, want := range map[string]string{"number": "7", "time": "1970-01-01T00:00:01Z"} {
		if got, err := headers.find(name).text(); got != want || err != nil {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	if got, err := headers.find("table").text(); err == nil {
		t.Errorf("a table = %q; want an error, so that the message is malformed to its receiver, too", got)
	}
}
