package parley

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

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
	shape    *shape                   // what fits for sure; nil = this schema has something that shapes do not know
	fields   map[string]*infer.Schema // of the top-level object; nil for other types
}

// schemaOf derives the schema of a type: properties from the fields and their json tags, a field without omitempty or
// omitzero is required, the jsonschema tag is the description, and the keywords of [schemaTags] are struct tags of
// their own names. Unknown properties are allowed: that is how contracts evolve.
func schemaOf(t reflect.Type) (*schema, error) {
	own := make(map[reflect.Type]*infer.Schema)
	err := ownForms(t, own, make(map[reflect.Type]bool))
	if err != nil {
		return nil, fmt.Errorf("type %v can't be a payload: %w", t, err)
	}
	s, err := infer.ForType(t, &infer.ForOptions{TypeSchemas: own})
	if err != nil {
		return nil, fmt.Errorf("type %v can't be a payload: %w", t, err)
	}
	if err := applyTags(s, t); err != nil {
		return nil, err
	}
	sample, err := encode(reflect.New(t).Elem().Interface())
	if err != nil {
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
	derived := &schema{doc: doc, compiled: compiled, shape: shapeOf(s), fields: s.Properties}
	if err := derived.describes(sample); err != nil {
		return nil, fmt.Errorf("type %v can't be a payload: %w", t, err)
	}
	return derived, nil
}

// describes reports whether the zero value of a type is encoded as its schema says: constraints aside, with the same
// types and members. It is not where a type has a JSON form that the schema could not know of.
func (s *schema) describes(sample []byte) error {
	var v any
	if err := json.Unmarshal(sample, &v); err != nil {
		return err
	}
	failed, ok := errors.AsType[*validator.ValidationError](s.compiled.Validate(v))
	if !ok {
		return nil
	}
	var errs []error
	for _, leaf := range causes(failed, nil) {
		switch leaf.ErrorKind.(type) {
		case *kind.Type, *kind.Required:
			for _, f := range fieldsOf(leaf, nil) {
				errs = append(errs, fmt.Errorf("field %s is encoded otherwise than its Go type says: %s; give it a type of its own with MarshalJSON", f.Path, f.Message))
			}
		}
	}
	return errors.Join(errs...)
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

// check reports what is wrong with a body, one entry per field, sorted; nil if nothing is.
func (s *schema) check(body []byte) []Field {
	if s.shape.admits(body) {
		return nil
	}
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
	p := message.NewPrinter(language.English)
	var fields []Field
	for _, leaf := range causes(failed, nil) {
		fields = append(fields, fieldsOf(leaf, p)...)
	}
	slices.SortStableFunc(fields, func(a, b Field) int { return strings.Compare(a.Path, b.Path) })
	return fields
}

// causes are the innermost causes of e.
func causes(e *validator.ValidationError, into []*validator.ValidationError) []*validator.ValidationError {
	for _, cause := range e.Causes {
		into = causes(cause, into)
	}
	if len(e.Causes) == 0 {
		into = append(into, e)
	}
	return into
}

// fieldsOf says in words what an innermost cause means, mostly about one field.
func fieldsOf(e *validator.ValidationError, p *message.Printer) (fields []Field) {
	at := func(more ...string) string {
		return fieldPath(slices.Values(append(slices.Clone(e.InstanceLocation), more...)))
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			fields = append(fields, Field{Path: at(name), Message: "is missing"})
		}
		return fields
	case *kind.Type:
		return []Field{{Path: at(), Message: fmt.Sprintf("want %s, got %s", strings.Join(k.Want, " or "), k.Got)}}
	}
	return []Field{{Path: at(), Message: e.ErrorKind.LocalizedString(p)}}
}
