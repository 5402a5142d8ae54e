package parley

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const contentJSON = "application/json"

// encode is the one place where a payload becomes bytes: JSON as encoding/json/v2 has it (nil slices are [],
// times are RFC 3339).
func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode %T as JSON: %w", v, err)
	}
	return b, nil
}

// decode checks body against the schema, then reads it into v. What is wrong comes back as an InvalidArgument with one
// entry per field. Unknown fields are ignored, duplicate ones refused.
func decode(s *schema, body []byte, v any) error {
	if fields := s.check(body); len(fields) > 0 {
		return &Error{Code: InvalidArgument, Message: "the body does not fit the contract", Fields: fields}
	}
	if err := json.Unmarshal(body, v); err != nil {
		return &Error{Code: InvalidArgument, Message: "the body does not fit the contract", Fields: []Field{jsonField(err)}}
	}
	return nil
}

// jsonField says where in a body the JSON is wrong, and how.
func jsonField(err error) Field {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		what := fmt.Sprintf("is no JSON: %v at byte %d", e.Err, e.ByteOffset)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			what = "appears twice"
		}
		return Field{Path: fieldPath(e.JSONPointer.Tokens()), Message: what}
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		what := fmt.Sprintf("can't be read as %v", e.GoType)
		if e.Err != nil {
			what += ": " + e.Err.Error()
		}
		return Field{Path: fieldPath(e.JSONPointer.Tokens()), Message: what}
	}
	return Field{Message: err.Error()}
}

// fieldPath writes the tokens of a JSON pointer as people do: items[0].sku.
func fieldPath(tokens func(func(string) bool)) string {
	var b strings.Builder
	for t := range tokens {
		switch {
		case t != "" && strings.Trim(t, "0123456789") == "":
			b.WriteString("[" + t + "]")
		case b.Len() > 0:
			b.WriteString("." + t)
		default:
			b.WriteString(t)
		}
	}
	return b.String()
}
