package nats

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	natsio "github.com/nats-io/nats.go"

	"github.com/parley-io/parley/transport"
)

// Malformed is the header of a delivered envelope that could not be read as an event; its value says why.
const Malformed = "parleymalformed"

// decode reads the message of a channel. What cannot be read becomes an envelope with the raw body, an ID made of
// place, and the reason in the header Malformed.
func decode(address, place string, m *natsio.Msg) *transport.Envelope {
	e := &transport.Envelope{Body: m.Data}
	err := read(e, m)
	if err == nil && e.Address != address {
		err = fmt.Errorf("attribute type: got %q, want %q", e.Address, address)
	}
	if err == nil {
		err = e.Validate()
	}
	if err == nil {
		return e
	}
	if len(place) > transport.MaxIDBytes { // the end has the sequence
		place = place[len(place)-transport.MaxIDBytes:]
	}
	return &transport.Envelope{
		ID: place, Address: address, Source: "unknown", Body: m.Data,
		Headers: map[string]string{Malformed: printable(err.Error())},
	}
}

// read fills e from a message in either mode.
func read(e *transport.Envelope, m *natsio.Msg) error {
	var mode string
	for k, v := range m.Header {
		if fold(k) == contentType && len(v) > 0 {
			mode = v[0]
		}
	}
	if media, _, _ := strings.Cut(mode, ";"); strings.EqualFold(strings.TrimSpace(media), structured) {
		return readStructured(e, m.Data)
	}
	e.ContentType = mode
	var events int
	for k, v := range m.Header {
		name, ok := strings.CutPrefix(fold(k), attributeStart)
		if !ok || len(v) == 0 {
			continue
		}
		if name == "specversion" {
			events++
		}
		value, err := transport.UnescapeAttribute(v[0])
		if err != nil {
			return fmt.Errorf("header %s: %w", k, err)
		}
		if err := e.SetAttribute(name, value); err != nil {
			return err
		}
	}
	switch {
	case events > 0:
		return nil
	case mode == "" && bytes.HasPrefix(bytes.TrimSpace(m.Data), []byte("{")): // CloudEvents 1.0.2 knows no headers on NATS
		return readStructured(e, m.Data)
	}
	return errors.New("no CloudEvents event: it has no header ce-specversion")
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
