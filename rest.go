package parley

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	infer "github.com/google/jsonschema-go/jsonschema"
)

// checkRoute reports what is wrong with a REST binding: each part of the path in braces must be a field of the request.
func checkRoute(method, path string, in *schema) error {
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	if !slices.Contains(methods, method) {
		return fmt.Errorf("REST(%q, %q): want one of %s", method, path, strings.Join(methods, ", "))
	}
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("REST(%q, %q): want a path that begins with /", method, path)
	}
	if in == nil {
		return nil
	}
	for part := range strings.SplitSeq(path, "/") {
		name, ok := strings.CutPrefix(part, "{")
		if !ok {
			continue
		}
		name = strings.TrimSuffix(strings.TrimSuffix(name, "}"), "...")
		f := in.fields[name]
		if f == nil || !isScalar(f) {
			return fmt.Errorf("REST(%q, %q): the request has no string, number or boolean field %q", method, path, name)
		}
	}
	return nil
}

// bind puts values from a path and query into a JSON body, as the types of the request's fields want them. A value that
// does not fit stays a string, and the validation that follows names it. Names that the request does not know are
// ignored.
func (s *schema) bind(body []byte, values map[string][]string) ([]byte, error) {
	members := map[string]jsontext.Value{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &members); err != nil {
			return nil, &Error{Code: InvalidArgument, Message: "the body does not fit the contract", Fields: []Field{jsonField(err)}}
		}
		if members == nil {
			return body, nil // null, which the validation refuses
		}
	}
	for name, texts := range values {
		f := s.fields[name]
		if f == nil || len(texts) == 0 {
			continue
		}
		v := textValue(f, texts[0])
		if f.Items != nil {
			list := make([]any, len(texts))
			for i, t := range texts {
				list[i] = textValue(f.Items, t)
			}
			v = list
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		members[name] = b
	}
	return json.Marshal(members, json.Deterministic(true))
}

func isScalar(s *infer.Schema) bool {
	return s.Items == nil && s.Properties == nil && !wants(s, "object")
}

func wants(s *infer.Schema, kind string) bool {
	return s.Type == kind || slices.Contains(s.Types, kind)
}

// textValue reads text as the type that s wants, or leaves it as it is.
func textValue(s *infer.Schema, text string) any {
	switch {
	case wants(s, "integer"), wants(s, "number"):
		if v := jsontext.Value(text); v.IsValid() && v.Kind() == '0' {
			return v
		}
	case wants(s, "boolean"):
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	return text
}
