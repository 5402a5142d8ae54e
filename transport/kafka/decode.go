package kafka

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/cloudevents"
)

// decode reads the record of a channel. What cannot be read becomes an envelope with the raw body, an ID made of
// topic, partition and offset, and the reason in the header [transport.Malformed].
func decode(address string, r *kgo.Record) *transport.Envelope {
	e := &transport.Envelope{Body: r.Value}
	err := read(e, r)
	if err == nil {
		err = cloudevents.Check(e, address)
	}
	if err != nil {
		return cloudevents.Malformed(address, fmt.Sprintf("%s.%d.%d", r.Topic, r.Partition, r.Offset), r.Value, err)
	}
	return e
}

// read fills e from a record in either mode.
func read(e *transport.Envelope, r *kgo.Record) error {
	length := 0
	for i := range r.Headers {
		h := &r.Headers[i]
		if isContentType(h.Key) && cloudevents.IsStructured(string(h.Value)) {
			return cloudevents.ReadStructured(e, r.Value)
		}
		length += len(h.Value)
	}
	var values strings.Builder // one allocation for all
	values.Grow(length)
	event := false
	for i := range r.Headers {
		h := &r.Headers[i]
		name, ok := attributeName(h.Key)
		if !ok {
			continue
		}
		event = event || name == "specversion"
		begin := values.Len()
		values.Write(h.Value)
		if err := e.SetAttribute(name, values.String()[begin:]); err != nil {
			return err
		}
	}
	if !event {
		return errors.New("no CloudEvents event: it has no header ce_specversion")
	}
	if e.Key == "" && utf8.Valid(r.Key) { // of a stranger who orders by the record's key alone
		e.Key = string(r.Key)
	}
	return nil
}

// recipient is the group that a record is for, "" = all. It costs less than decoding what is for others.
func recipient(r *kgo.Record) string {
	for i := range r.Headers {
		if r.Headers[i].Key == "ce_parleygroup" {
			return string(r.Headers[i].Value)
		}
	}
	return ""
}
