package kafka

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// Malformed is the header of a delivered envelope that could not be read as an event; its value says why.
const Malformed = "parleymalformed"

// decode reads the record of a channel. What cannot be read becomes an envelope with the raw body, an ID made of
// topic, partition and offset, and the reason in the header Malformed.
func decode(address string, r *kgo.Record) *transport.Envelope {
	e := &transport.Envelope{Body: r.Value}
	err := read(e, r)
	if err == nil && e.Address != address {
		err = fmt.Errorf("attribute type: got %q, want %q", e.Address, address)
	}
	if err == nil {
		err = e.Validate()
	}
	if err == nil {
		return e
	}
	place := fmt.Sprintf("%s.%d.%d", r.Topic, r.Partition, r.Offset)
	if len(place) > transport.MaxIDBytes { // the end has partition and offset
		place = place[len(place)-transport.MaxIDBytes:]
	}
	return &transport.Envelope{
		ID: place, Address: address, Source: "unknown", Body: r.Value,
		Headers: map[string]string{Malformed: printable(err.Error())},
	}
}

// read fills e from a record in either mode.
func read(e *transport.Envelope, r *kgo.Record) error {
	for _, h := range r.Headers {
		media, _, _ := strings.Cut(string(h.Value), ";")
		if strings.EqualFold(h.Key, contentType) && strings.EqualFold(strings.TrimSpace(media), structured) {
			return readStructured(e, r.Value)
		}
	}
	event := false
	for _, h := range r.Headers {
		name, ok := attributeName(h.Key)
		if !ok {
			continue
		}
		event = event || name == "specversion"
		if err := e.SetAttribute(name, string(h.Value)); err != nil {
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
