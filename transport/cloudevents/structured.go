// Package cloudevents reads what strangers send in the CloudEvents format, the same from every broker: events in
// structured mode, and envelopes for what is no event at all. Binary mode is each driver's own, as headers are.
package cloudevents

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/transport"
)

// Structured is the content type of an event in structured mode.
const Structured = "application/cloudevents+json"

// IsStructured reports whether a content type, with or without parameters, announces an event in structured mode.
func IsStructured(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), Structured)
}

// ReadStructured fills e from the body of an event in structured mode. Attributes that e has no field for become its
// headers. After an error e may be filled in part.
func ReadStructured(e *transport.Envelope, body []byte) error {
	var event map[string]jsontext.Value
	if err := json.Unmarshal(body, &event); err != nil {
		return fmt.Errorf("structured event: %w", err)
	}
	e.Body = nil
	for name, raw := range event {
		if err := readMember(e, name, raw); err != nil {
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

func readMember(e *transport.Envelope, name string, raw jsontext.Value) error {
	switch {
	case raw.Kind() == 'n':
		return nil
	case name == "data":
		e.Body = raw
		return nil
	case name == "data_base64":
		return json.Unmarshal(raw, &e.Body)
	case raw.Kind() == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		return e.SetAttribute(name, s)
	}
	return e.SetAttribute(name, string(raw)) // numbers and booleans are written as they are
}

func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}
