package rabbitmq

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/cloudevents"
)

// decode reads the message of a channel. What cannot be read becomes an envelope with the raw body, an ID that
// place makes, and the reason in the header [transport.Malformed].
func decode(address string, place func() string, d *delivery) *transport.Envelope {
	e := &transport.Envelope{}
	err := read(e, d)
	if err == nil {
		err = cloudevents.Check(e, address)
	}
	if err != nil {
		return cloudevents.Malformed(address, place(), d.body, err)
	}
	return e
}

// read fills e from a message in either mode.
func read(e *transport.Envelope, d *delivery) error {
	if cloudevents.IsStructured(d.contentType) {
		return cloudevents.ReadStructured(e, d.body)
	}
	e.ContentType, e.Body = d.contentType, d.body
	var events int
	for k, v := range d.headers.all() {
		if v.kind == 0 {
			return errTable
		}
		name, ok := strings.CutPrefix(k, attributeStart)
		if !ok {
			if name, ok = strings.CutPrefix(k, otherStart); !ok {
				continue
			}
		}
		value, err := v.text()
		if err != nil {
			return fmt.Errorf("header %s: %w", k, err)
		}
		if err := e.SetAttribute(name, value); err != nil {
			return err
		}
		if name == "specversion" {
			events++
		}
	}
	if events == 0 {
		return errors.New("no CloudEvents event: it has no header " + attributeStart + "specversion")
	}
	return nil
}

// text is the canonical form of an attribute, which foreign senders may give in a type of AMQP.
func text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	case bool, int8, uint8, int16, uint16, int32, uint32, int64, int:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("got a %T, want text, a number, a truth or a time", v)
}
