package rabbitmq

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// Malformed is the header of a delivered envelope that could not be read as an event; its value says why.
const Malformed = "parleymalformed"

// decode reads the message of a channel. What cannot be read becomes an envelope with the raw body, an ID that
// place makes, and the reason in the header Malformed.
func decode(address string, place func() string, d *amqp.Delivery) *transport.Envelope {
	e := &transport.Envelope{}
	err := read(e, d)
	if err == nil && e.Address != address {
		err = fmt.Errorf("attribute type: got %q, want %q", e.Address, address)
	}
	if err == nil {
		err = e.Validate()
	}
	if err == nil {
		return e
	}
	id := place()
	if len(id) > transport.MaxIDBytes { // the end tells messages apart
		id = id[len(id)-transport.MaxIDBytes:]
	}
	return &transport.Envelope{
		ID: id, Address: address, Source: "unknown", Body: d.Body,
		Headers: map[string]string{Malformed: printable(err.Error())},
	}
}

// read fills e from a message in either mode.
func read(e *transport.Envelope, d *amqp.Delivery) error {
	if media, _, _ := strings.Cut(d.ContentType, ";"); strings.EqualFold(strings.TrimSpace(media), structured) {
		return readStructured(e, d.Body)
	}
	e.ContentType, e.Body = d.ContentType, d.Body
	var events int
	for k, v := range d.Headers {
		name, ok := strings.CutPrefix(k, attributeStart)
		if !ok {
			if name, ok = strings.CutPrefix(k, otherStart); !ok {
				continue
			}
		}
		value, err := text(v)
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

// readStructured fills e from an event that is wholly in the body.
func readStructured(e *transport.Envelope, body []byte) error {
	var event map[string]jsontext.Value
	if err := json.Unmarshal(body, &event); err != nil {
		return fmt.Errorf("structured event: %w", err)
	}
	e.Body = nil
	for name, raw := range event {
		var err error
		switch {
		case raw.Kind() == 'n':
		case name == "data":
			e.Body = raw
		case name == "data_base64":
			err = json.Unmarshal(raw, &e.Body)
		case raw.Kind() == '"':
			var s string
			if err = json.Unmarshal(raw, &s); err == nil {
				err = e.SetAttribute(name, s)
			}
		default: // numbers and booleans are written as they are
			err = e.SetAttribute(name, string(raw))
		}
		if err != nil {
			return fmt.Errorf("structured event, %s: %w", name, err)
		}
	}
	if _, ok := event["specversion"]; !ok {
		return errors.New("structured event: it has no specversion")
	}
	if s, ok := event["data"]; ok && s.Kind() == '"' && !isJSON(e.ContentType) { // text, not a JSON string
		var text string
		if err := json.Unmarshal(s, &text); err != nil {
			return fmt.Errorf("structured event, data: %w", err)
		}
		e.Body = []byte(text)
	}
	return nil
}

func isJSON(media string) bool {
	media, _, _ = strings.Cut(media, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}

// printable makes a header's value of any text.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r <= 0x9f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.ToValidUTF8(s[:min(len(s), 1024)], "")
}
