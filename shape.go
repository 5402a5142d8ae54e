package parley

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	infer "github.com/google/jsonschema-go/jsonschema"
)

// shape is a schema in a form that reads a body once. It only ever says "this fits for sure"; whatever it does not
// know, or finds wrong, goes to the library's validator, which also says what is wrong. It takes a tenth of the time
// of that, which would otherwise be the larger part of what a call costs.
type shape struct {
	kinds    []string // "object", "array", "string", "integer", "number", "boolean", "null"
	members  map[string]member
	required uint64 // the bits of the members that must be there
	others   *shape // of members that are not named; nil = any
	items    *shape // of an array; nil = any

	minimum, maximum, above, below           *float64
	minLength, maxLength, minItems, maxItems *int
	pattern                                  *regexp.Regexp
	enum                                     []string
	dateTime                                 bool
}

type member struct {
	*shape
	bit uint64 // 0 = optional
}

// shapeOf is nil for a schema with anything that a shape does not know.
func shapeOf(s *infer.Schema) *shape {
	unknown := s.MultipleOf != nil || s.Ref != "" || s.AnyOf != nil || s.OneOf != nil || s.AllOf != nil || s.Not != nil ||
		s.Const != nil || s.Defs != nil || s.PatternProperties != nil || len(s.Required) > 64 ||
		s.Format != "" && s.Format != "date-time"
	if unknown {
		return nil
	}
	h := &shape{
		kinds: slices.Clone(s.Types), minimum: s.Minimum, maximum: s.Maximum, above: s.ExclusiveMinimum, below: s.ExclusiveMaximum,
		minLength: s.MinLength, maxLength: s.MaxLength, minItems: s.MinItems, maxItems: s.MaxItems, dateTime: s.Format != "",
	}
	if s.Type != "" {
		h.kinds = append(h.kinds, s.Type)
	}
	if s.Pattern != "" {
		h.pattern, _ = regexp.Compile(s.Pattern) // the validator has compiled it too
	}
	for _, v := range s.Enum {
		text, ok := v.(string)
		if !ok {
			return nil
		}
		h.enum = append(h.enum, text)
	}
	part := func(of *infer.Schema) (p *shape, known bool) {
		if of == nil {
			return nil, true
		}
		p = shapeOf(of)
		return p, p != nil
	}
	var ok bool
	if h.items, ok = part(s.Items); !ok {
		return nil
	}
	if h.others, ok = part(s.AdditionalProperties); !ok {
		return nil
	}
	h.members = make(map[string]member)
	for name, property := range s.Properties {
		p, ok := part(property)
		if !ok {
			return nil
		}
		m := member{shape: p}
		if i := slices.Index(s.Required, name); i >= 0 {
			m.bit = 1 << i
		}
		h.required |= m.bit
		h.members[name] = m
	}
	return h
}

// admits reports whether body fits for sure. A nil shape admits nothing.
func (h *shape) admits(body []byte) bool {
	if h == nil {
		return false
	}
	d := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(d)
	d.Reset(bytes.NewReader(body)) // duplicate names and invalid UTF-8 are errors
	if !h.value(d) {
		return false
	}
	return len(bytes.TrimSpace(body[d.InputOffset():])) == 0
}

// decoders are kept for their buffers.
var decoders = sync.Pool{New: func() any { return jsontext.NewDecoder(bytes.NewReader(nil)) }}

// value reads one value of d.
func (h *shape) value(d *jsontext.Decoder) bool {
	switch d.PeekKind() {
	case '{':
		return h.is("object") && h.object(d)
	case '[':
		return h.is("array") && h.array(d)
	case '"':
		return h.is("string") && h.text(d)
	case '0':
		return h.number(d)
	case 't', 'f':
		return h.is("boolean") && d.SkipValue() == nil
	case 'n':
		return h.is("null") && d.SkipValue() == nil
	}
	return false
}

func (h *shape) is(kind string) bool { return slices.Contains(h.kinds, kind) }

func (h *shape) object(d *jsontext.Decoder) bool {
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	var seen uint64
	for d.PeekKind() != '}' {
		name, ok := plainString(d)
		if !ok {
			return false
		}
		m, known := h.members[string(name)]
		seen |= m.bit
		switch {
		case known:
			ok = m.value(d)
		case h.others != nil:
			ok = h.others.value(d)
		default:
			ok = d.SkipValue() == nil
		}
		if !ok {
			return false
		}
	}
	_, err := d.ReadToken()
	return err == nil && seen == h.required
}

func (h *shape) array(d *jsontext.Decoder) bool {
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	n := 0
	for ; d.PeekKind() != ']'; n++ {
		if h.items != nil && !h.items.value(d) || h.items == nil && d.SkipValue() != nil {
			return false
		}
	}
	_, err := d.ReadToken()
	return err == nil && within(n, h.minItems, h.maxItems)
}

func (h *shape) text(d *jsontext.Decoder) bool {
	v, ok := plainString(d)
	if !ok || !within(utf8.RuneCount(v), h.minLength, h.maxLength) || h.pattern != nil && !h.pattern.Match(v) {
		return false
	}
	if h.dateTime {
		// time.Parse takes a comma before the fraction, which RFC 3339 does not.
		if _, err := time.Parse(time.RFC3339Nano, string(v)); err != nil || bytes.IndexByte(v, ',') >= 0 {
			return false
		}
	}
	return h.enum == nil || slices.Contains(h.enum, string(v))
}

func (h *shape) number(d *jsontext.Decoder) bool {
	v, err := d.ReadValue()
	if err != nil {
		return false
	}
	whole := len(v) <= 15 && !bytes.ContainsAny(v, ".eE") // exact as a float64
	if !h.is("number") && (!whole || !h.is("integer")) {
		return false
	}
	if h.minimum == nil && h.maximum == nil && h.above == nil && h.below == nil {
		return true
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return err == nil && (h.minimum == nil || f >= *h.minimum) && (h.maximum == nil || f <= *h.maximum) &&
		(h.above == nil || f > *h.above) && (h.below == nil || f < *h.below)
}

// plainString reads a string without escapes, which are the validator's.
func plainString(d *jsontext.Decoder) ([]byte, bool) {
	v, err := d.ReadValue()
	if err != nil || len(v) < 2 || bytes.IndexByte(v, '\\') >= 0 {
		return nil, false
	}
	return v[1 : len(v)-1], true
}

func within(n int, low, high *int) bool {
	return (low == nil || n >= *low) && (high == nil || n <= *high)
}
