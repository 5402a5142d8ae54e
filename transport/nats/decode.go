package nats

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	natsio "github.com/nats-io/nats.go"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/cloudevents"
)

// decode reads the message of a channel. What cannot be read becomes an envelope with the raw body, an ID made of
// its place in the stream, and the reason in the header [transport.Malformed].
func decode(address, stream string, sequence uint64, m *natsio.Msg) *transport.Envelope {
	e := &transport.Envelope{Body: m.Data}
	err := read(e, m)
	if err == nil {
		err = cloudevents.Check(e, address)
	}
	if err != nil {
		return cloudevents.Malformed(address, fmt.Sprintf("%s.%d", stream, sequence), m.Data, err)
	}
	return e
}

// read fills e from a message in either mode.
func read(e *transport.Envelope, m *natsio.Msg) error {
	mode := modeOf(m.Header)
	if cloudevents.IsStructured(mode) {
		return cloudevents.ReadStructured(e, m.Data)
	}
	e.ContentType = mode
	var events int
	for k, v := range m.Header {
		if len(v) == 0 || len(k) < len(attributeStart) || !strings.EqualFold(k[:len(attributeStart)], attributeStart) {
			continue
		}
		name := strings.ToLower(k[len(attributeStart):])
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
		return cloudevents.ReadStructured(e, m.Data)
	}
	return errors.New("no CloudEvents event: it has no header ce-specversion")
}

// modeOf is the content type that the headers name. Foreign senders write Content-Type, as they write Ce-Id.
func modeOf(h natsio.Header) string {
	if v := h[contentType]; len(v) > 0 {
		return v[0]
	}
	for k, v := range h {
		if strings.EqualFold(k, contentType) && len(v) > 0 {
			return v[0]
		}
	}
	return ""
}
