package parley

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	infer "github.com/google/jsonschema-go/jsonschema"
)

// ownForms collects the schemas of those types in t that are not encoded as their Go kind says: times and texts are
// strings, bytes are base64, and what has a JSON form of its own may be anything.
func ownForms(t reflect.Type, into map[reflect.Type]*infer.Schema, seen map[reflect.Type]bool) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if seen[t] {
		return nil
	}
	seen[t] = true
	implements := func(i reflect.Type) bool { return t.Implements(i) || reflect.PointerTo(t).Implements(i) }
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return errors.New("time.Duration has no JSON form; use a number and its unit in the name (TimeoutSeconds), or a string")
	case t == reflect.TypeFor[time.Time]():
		into[t] = &infer.Schema{Type: "string", Format: "date-time"}
	case t == reflect.TypeFor[jsontext.Value](), implements(reflect.TypeFor[json.Marshaler]()), implements(reflect.TypeFor[jsonv2.MarshalerTo]()):
		into[t] = &infer.Schema{}
	case t.Kind() != reflect.Interface && (implements(reflect.TypeFor[encoding.TextMarshaler]()) || implements(reflect.TypeFor[encoding.TextAppender]())):
		into[t] = &infer.Schema{Type: "string"}
	case (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && t.Elem().Kind() == reflect.Uint8:
		into[t] = &infer.Schema{Type: "string", ContentEncoding: "base64"}
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Array, t.Kind() == reflect.Map:
		return ownForms(t.Elem(), into, seen)
	case t.Kind() == reflect.Struct:
		var errs []error
		for _, f := range reflect.VisibleFields(t) {
			if !f.IsExported() || f.Tag.Get("json") == "-" {
				continue
			}
			if err := ownForms(f.Type, into, seen); err != nil {
				errs = append(errs, fmt.Errorf("field %v.%s: %w", t, f.Name, err))
			}
		}
		return errors.Join(errs...)
	}
	return nil
}

// applyTags walks s beside t: it opens objects to unknown properties, wants arrays where slices are, and adds the tags'
// keywords.
func applyTags(s *infer.Schema, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var errs []error
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		if len(s.Types) == 2 && s.Types[0] == "null" {
			s.Type, s.Types = s.Types[1], nil
		}
		if s.Items != nil {
			errs = append(errs, applyTags(s.Items, t.Elem()))
		}
	case reflect.Map:
		if s.AdditionalProperties != nil {
			errs = append(errs, applyTags(s.AdditionalProperties, t.Elem()))
		}
	case reflect.Struct:
		if s.Properties == nil { // a type with its own JSON form
			break
		}
		s.AdditionalProperties = nil
		for _, f := range reflect.VisibleFields(t) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				name = f.Name
			}
			p := s.Properties[name]
			if p == nil || f.Anonymous {
				continue
			}
			if slices.Contains(strings.Split(options, ","), "string") {
				p.Type, p.Types = "string", nil
			}
			errs = append(errs, applyTags(p, f.Type))
			if err := constrain(p, f.Tag); err != nil {
				errs = append(errs, fmt.Errorf("field %v.%s: %w", t, f.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// schemaTags are the struct tags that constrain a field, each with the JSON Schema keyword of its name, and the types
// that it fits. One that does not fit a list fits its items.
var schemaTags = []struct {
	name  string
	types []string
	set   func(s *infer.Schema, value string) error
}{
	{"minimum", numbers, float(func(s *infer.Schema) **float64 { return &s.Minimum })},
	{"maximum", numbers, float(func(s *infer.Schema) **float64 { return &s.Maximum })},
	{"exclusiveMinimum", numbers, float(func(s *infer.Schema) **float64 { return &s.ExclusiveMinimum })},
	{"exclusiveMaximum", numbers, float(func(s *infer.Schema) **float64 { return &s.ExclusiveMaximum })},
	{"multipleOf", numbers, float(func(s *infer.Schema) **float64 { return &s.MultipleOf })},
	{"minLength", texts, count(func(s *infer.Schema) **int { return &s.MinLength })},
	{"maxLength", texts, count(func(s *infer.Schema) **int { return &s.MaxLength })},
	{"pattern", texts, func(s *infer.Schema, v string) error { s.Pattern = v; return nil }},
	{"format", texts, format},
	{"minItems", []string{"array"}, count(func(s *infer.Schema) **int { return &s.MinItems })},
	{"maxItems", []string{"array"}, count(func(s *infer.Schema) **int { return &s.MaxItems })},
	{"enum", []string{"string", "integer", "number"}, enum},
}

var (
	numbers = []string{"integer", "number"}
	texts   = []string{"string"}
	formats = []string{
		"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference", "uuid",
		"regex", "json-pointer",
	}
)

// constrain adds the keywords of a field's tags to its schema.
func constrain(s *infer.Schema, tags reflect.StructTag) error {
	var errs []error
	for _, tag := range schemaTags {
		value, ok := tags.Lookup(tag.name)
		if !ok {
			continue
		}
		fits := func(s *infer.Schema) bool {
			return slices.ContainsFunc(tag.types, func(t string) bool { return wants(s, t) })
		}
		on := s
		if !fits(on) && s.Items != nil {
			on = s.Items
		}
		if !fits(on) {
			errs = append(errs, fmt.Errorf("tag %s:%q fits a field of type %s only", tag.name, value, strings.Join(tag.types, " or ")))
		} else if err := tag.set(on, value); err != nil {
			errs = append(errs, fmt.Errorf("tag %s:%q: %w", tag.name, value, err))
		}
	}
	return errors.Join(errs...)
}

func float(at func(*infer.Schema) **float64) func(*infer.Schema, string) error {
	return func(s *infer.Schema, v string) error {
		f, err := strconv.ParseFloat(v, 64)
		*at(s) = &f
		return err
	}
}

func count(at func(*infer.Schema) **int) func(*infer.Schema, string) error {
	return func(s *infer.Schema, v string) error {
		n, err := strconv.Atoi(v)
		*at(s) = &n
		return err
	}
}

func format(s *infer.Schema, v string) error {
	if !slices.Contains(formats, v) {
		return fmt.Errorf("want one of %s", strings.Join(formats, ", "))
	}
	s.Format = v
	return nil
}

// enum takes choices with commas between; a field that may be null may still be.
func enum(s *infer.Schema, v string) error {
	for one := range strings.SplitSeq(v, ",") {
		if wants(s, "string") {
			s.Enum = append(s.Enum, one)
			continue
		}
		f, err := strconv.ParseFloat(one, 64)
		if err != nil {
			return err
		}
		s.Enum = append(s.Enum, f)
	}
	if wants(s, "null") {
		s.Enum = append(s.Enum, nil)
	}
	return nil
}
