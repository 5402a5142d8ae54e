package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// body is what the arguments of a verb say to send: JSON, or fields.
type body struct {
	json   []byte // nil = fields
	fields []field
}

// field is one k=v.
type field struct{ path, value string }

// readBody reads -d and k=v arguments.
func (a *app) readBody(data string, given bool, pairs []string) (b body, err error) {
	if given && len(pairs) > 0 {
		return b, usage(fmt.Errorf("-d and %s: want either a whole body or fields", strings.Join(pairs, " ")))
	}
	if given {
		b.json, err = a.readData(data)
		return b, err
	}
	seen := make(map[string]bool)
	for _, p := range pairs {
		path, value, ok := strings.Cut(p, "=")
		switch {
		case !ok || path == "":
			return b, usage(fmt.Errorf("%q: want field=value, or -d with a whole body", p))
		case seen[path]:
			return b, usage(fmt.Errorf("field %s is given twice", path))
		}
		seen[path] = true
		b.fields = append(b.fields, field{path, value})
	}
	return b, nil
}

// readData is the value of -d: JSON, @FILE or - for standard input.
func (a *app) readData(data string) ([]byte, error) {
	if data == "-" {
		b, err := io.ReadAll(a.in)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return notNil(b), nil
	}
	if path, ok := strings.CutPrefix(data, "@"); ok {
		b, err := os.ReadFile(path) //nolint:gosec // that is what was asked for
		if err != nil {
			return nil, usage(fmt.Errorf("-d: %w", err))
		}
		return notNil(b), nil
	}
	return notNil([]byte(data)), nil
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// shape is what the command line needs to know of a JSON Schema.
type shape struct {
	Type       jsontext.Value    `json:"type"` // a name, or a list of names
	Properties map[string]*shape `json:"properties"`
	Required   []string          `json:"required"`

	guess bool // the schema is not known: values are the JSON that they look like
}

// readShape reads the schema of a payload. One that cannot be read is an empty one: the contract itself is checked
// elsewhere.
func readShape(schema jsontext.Value) *shape {
	var s shape
	if json.Unmarshal(schema, &s) != nil {
		return &shape{}
	}
	return &s
}

func (s *shape) is(kinds ...string) bool {
	return s != nil && slices.ContainsFunc(kinds, func(k string) bool { return strings.Contains(string(s.Type), `"`+k+`"`) })
}

// encode makes the body, with fields typed as the schema wants them. What does not fit stays a string, and the check of
// the contract names it.
func (b body) encode(s *shape) ([]byte, error) {
	if b.json != nil {
		return b.json, nil
	}
	object := make(map[string]any)
	for _, f := range b.fields {
		if err := f.put(object, s); err != nil {
			return nil, usage(err)
		}
	}
	return json.Marshal(object, json.Deterministic(true))
}

// put sets a field: a.b=c sets b of the object a.
func (f field) put(object map[string]any, s *shape) error {
	words := strings.Split(f.path, ".")
	for _, w := range words[:len(words)-1] {
		s = s.property(w)
		inner, ok := object[w].(map[string]any)
		switch {
		case object[w] == nil:
			inner = make(map[string]any)
			object[w] = inner
		case !ok:
			return fmt.Errorf("field %s: %s is given as a value too", f.path, w)
		}
		object = inner
	}
	last := words[len(words)-1]
	if object[last] != nil {
		return fmt.Errorf("field %s: its parts are given too", f.path)
	}
	object[last] = s.property(last).value(f.value)
	return nil
}

func (s *shape) property(name string) *shape {
	if s == nil || s.guess {
		return s
	}
	return s.Properties[name]
}

// value reads text as the type that s wants, or leaves it as it is.
func (s *shape) value(text string) any {
	raw := jsontext.Value(text)
	switch {
	case s != nil && s.guess:
		if raw.IsValid() && raw.Kind() != '"' {
			return raw
		}
	case s.is("string"):
	case s.is("integer", "number") && raw.IsValid() && raw.Kind() == '0',
		s.is("object") && raw.IsValid() && raw.Kind() == '{',
		s.is("array") && raw.IsValid() && raw.Kind() == '[':
		return raw
	case s.is("boolean"):
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	return text
}

// example is the arguments of a body that has every required field.
func (s *shape) example() string {
	var words []string
	for _, name := range s.Required {
		kind := strings.Trim(string(s.property(name).kind()), `"`)
		words = append(words, name+"="+strings.ToUpper(kind))
	}
	return strings.Join(words, " ")
}

func (s *shape) kind() jsontext.Value {
	if s == nil || len(s.Type) == 0 {
		return jsontext.Value("value")
	}
	return s.Type
}

// headers reads --header k=v.
func headers(pairs []string) (all []field, err error) {
	var errs []error
	for _, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			errs = append(errs, fmt.Errorf("--header %q: want name=value", p))
		}
		all = append(all, field{name, value})
	}
	return all, errors.Join(errs...)
}
