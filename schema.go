package parley

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	infer "github.com/google/jsonschema-go/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// schema is the JSON Schema (2020-12) of a Go type and its compiled form.
type schema struct {
	doc      jsontext.Value
	compiled *validator.Schema
	fields   map[string]*infer.Schema // of the top-level object; nil for other types
}

// schemaOf derives the schema of a type: properties from the fields and their json tags, a field without omitempty or
// omitzero is required, the jsonschema tag is the description, and the keywords of [schemaTags] are struct tags of
// their own names. Unknown properties are allowed: that is how contracts evolve.
func schemaOf(t reflect.Type) (*schema, error) {
	s, err := infer.ForType(t, &infer.ForOptions{TypeSchemas: map[reflect.Type]*infer.Schema{
		reflect.TypeFor[time.Time](): {Type: "string", Format: "date-time"},
	}})
	if err != nil {
		return nil, fmt.Errorf("type %v can't be a payload: %w", t, err)
	}
	if err := applyTags(s, t); err != nil {
		return nil, err
	}
	if _, err := encode(reflect.New(t).Elem().Interface()); err != nil {
		return nil, fmt.Errorf("type %v can't be a payload: %w", t, err)
	}
	doc, err := json.Marshal(s, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("schema of %v: %w", t, err)
	}
	compiled, err := compileSchema(doc)
	if err != nil {
		return nil, fmt.Errorf("schema of %v: %w", t, err)
	}
	return &schema{doc: doc, compiled: compiled, fields: s.Properties}, nil
}

// parseSchema reads a schema that another process derived.
func parseSchema(doc []byte) (*schema, error) {
	compiled, err := compileSchema(doc)
	if err != nil {
		return nil, err
	}
	return &schema{doc: doc, compiled: compiled}, nil
}

func compileSchema(doc []byte) (*validator.Schema, error) {
	parsed, err := validator.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	c := validator.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("contract.json", parsed); err != nil {
		return nil, err
	}
	return c.Compile("contract.json")
}

// schemaTags are the struct tags that constrain a field; each is the JSON Schema keyword of its name.
var schemaTags = []struct {
	name string
	set  func(s *infer.Schema, value string) error
}{
	{"minimum", float(func(s *infer.Schema) **float64 { return &s.Minimum })},
	{"maximum", float(func(s *infer.Schema) **float64 { return &s.Maximum })},
	{"exclusiveMinimum", float(func(s *infer.Schema) **float64 { return &s.ExclusiveMinimum })},
	{"exclusiveMaximum", float(func(s *infer.Schema) **float64 { return &s.ExclusiveMaximum })},
	{"multipleOf", float(func(s *infer.Schema) **float64 { return &s.MultipleOf })},
	{"minLength", count(func(s *infer.Schema) **int { return &s.MinLength })},
	{"maxLength", count(func(s *infer.Schema) **int { return &s.MaxLength })},
	{"minItems", count(func(s *infer.Schema) **int { return &s.MinItems })},
	{"maxItems", count(func(s *infer.Schema) **int { return &s.MaxItems })},
	{"pattern", func(s *infer.Schema, v string) error { s.Pattern = v; return nil }},
	{"format", func(s *infer.Schema, v string) error { s.Format = v; return nil }},
	{"enum", func(s *infer.Schema, v string) error {
		for one := range strings.SplitSeq(v, ",") {
			s.Enum = append(s.Enum, one)
		}
		return nil
	}},
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
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				name = f.Name
			}
			p := s.Properties[name]
			if p == nil || f.Anonymous {
				continue
			}
			errs = append(errs, applyTags(p, f.Type))
			for _, tag := range schemaTags {
				if v, ok := f.Tag.Lookup(tag.name); ok {
					if err := tag.set(p, v); err != nil {
						errs = append(errs, fmt.Errorf("field %v.%s: tag %s:%q: %w", t, f.Name, tag.name, v, err))
					}
				}
			}
		}
	}
	return errors.Join(errs...)
}

// check reports what is wrong with a body, one entry per field, sorted; nil if nothing is.
func (s *schema) check(body []byte) []Field {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		if len(bytes.TrimSpace(body)) == 0 {
			return []Field{{Message: "is empty; want JSON"}}
		}
		return []Field{jsonField(err)}
	}
	err := s.compiled.Validate(v)
	if err == nil {
		return nil
	}
	failed, ok := errors.AsType[*validator.ValidationError](err)
	if !ok {
		return []Field{{Message: err.Error()}}
	}
	fields := leaves(failed, message.NewPrinter(language.English), nil)
	slices.SortStableFunc(fields, func(a, b Field) int { return strings.Compare(a.Path, b.Path) })
	return fields
}

// leaves collects the innermost causes.
func leaves(e *validator.ValidationError, p *message.Printer, into []Field) []Field {
	for _, cause := range e.Causes {
		into = leaves(cause, p, into)
	}
	if len(e.Causes) > 0 {
		return into
	}
	at := func(more ...string) string {
		return fieldPath(slices.Values(append(slices.Clone(e.InstanceLocation), more...)))
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			into = append(into, Field{Path: at(name), Message: "is missing"})
		}
		return into
	case *kind.Type:
		return append(into, Field{Path: at(), Message: fmt.Sprintf("want %s, got %s", strings.Join(k.Want, " or "), k.Got)})
	}
	return append(into, Field{Path: at(), Message: e.ErrorKind.LocalizedString(p)})
}
