package parley

import (
	stdjson "encoding/json"
	"math/big"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

type parcel struct {
	SKU      string            `json:"sku" minLength:"2" maxLength:"5" pattern:"^[a-z]+$" jsonschema:"what it is"`
	Quantity int               `json:"quantity" minimum:"1" maximum:"9"`
	Colour   string            `json:"colour,omitzero" enum:"red,blue"`
	Email    string            `json:"email,omitzero" format:"email"`
	Due      time.Time         `json:"due,omitzero"`
	Lines    []line            `json:"lines,omitzero" maxItems:"2"`
	Labels   map[string]string `json:"labels,omitzero"`
}

type line struct {
	Text string `json:"text" minLength:"1"`
}

func TestABodyThatDoesNotFitIsToldFieldByField(t *testing.T) {
	t.Parallel()
	s, err := schemaOf(reflect.TypeFor[parcel]())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, body string
		want       []string // path: a part of the message
	}{
		{"a good one", `{"sku":"tea","quantity":2,"colour":"red","unknown":1,"due":"2026-01-02T03:04:05Z"}`, nil},
		{"nothing", ``, []string{": is empty"}},
		{"no JSON", `{"sku":`, []string{"sku: is no JSON"}},
		{"another type", `[]`, []string{": want object, got array"}},
		{"missing fields", `{}`, []string{"quantity: is missing", "sku: is missing"}},
		{"wrong types", `{"sku":7,"quantity":"two"}`, []string{"quantity: want integer, got string", "sku: want string, got number"}},
		{"a fraction", `{"sku":"tea","quantity":1.5}`, []string{"quantity: want integer, got number"}},
		{"duplicate keys", `{"sku":"tea","sku":"oil","quantity":1}`, []string{"sku: appears twice"}},
		{"out of bounds", `{"sku":"t","quantity":0}`, []string{"quantity: minimum", "sku: minLength"}},
		{"not of the choices", `{"sku":"tea","quantity":1,"colour":"green"}`, []string{"colour: value must be one of"}},
		{"not of the format", `{"sku":"tea","quantity":1,"email":"nobody"}`, []string{"email: 'nobody' is not valid email"}},
		{"deep inside", `{"sku":"tea","quantity":1,"lines":[{"text":"x"},{"text":""}]}`, []string{"lines[1].text: minLength"}},
		{"null for a list", `{"sku":"tea","quantity":1,"lines":null}`, []string{"lines: want array, got null"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range s.check([]byte(tt.body)) {
				got = append(got, f.Path+": "+f.Message)
			}
			if len(got) != len(tt.want) || !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("check(%s) = %q; want %q", tt.body, got, tt.want)
			}
		})
	}
}

func TestATypeThatCannotBeAPayloadIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	tests := []struct {
		t    reflect.Type
		want string
	}{
		{reflect.TypeFor[struct{ F func() }](), "unsupported"},
		{reflect.TypeFor[struct {
			N int `json:"n" minimum:"one"`
		}](), `tag minimum:"one"`},
		{reflect.TypeFor[struct {
			S string `json:"s" pattern:"("`
		}](), "regex"},
		{reflect.TypeFor[struct {
			D time.Duration `json:"d,omitzero"`
		}](), "time.Duration has no JSON form"},
		{reflect.TypeFor[struct {
			Base `json:"base"`
		}](), "n is encoded otherwise"},
		{reflect.TypeFor[struct {
			N int `json:"n" minLength:"1"`
		}](), "fits a field of type string only"},
		{reflect.TypeFor[struct {
			S string `json:"s" format:"emial"`
		}](), "want one of date-time"},
	}
	for _, tt := range tests {
		if _, err := schemaOf(tt.t); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("schemaOf(%v) = %v; want an error with %q", tt.t, err, tt.want)
		}
	}
}

func TestPathAndQueryBecomeTheFieldsOfARequest(t *testing.T) {
	t.Parallel()
	type query struct {
		SKU   string   `json:"sku"`
		Count int      `json:"count,omitzero"`
		Deep  bool     `json:"deep,omitzero"`
		Tags  []string `json:"tags,omitzero"`
	}
	s, err := schemaOf(reflect.TypeFor[query]())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, body string
		values     map[string][]string
		want       string
	}{
		{"typed", ``, map[string][]string{"sku": {"42"}, "count": {"3"}, "deep": {"true"}}, `{"count":3,"deep":true,"sku":"42"}`},
		{"several of one name", ``, map[string][]string{"tags": {"a", "b"}}, `{"tags":["a","b"]}`},
		{"over a body", `{"sku":"a","count":1}`, map[string][]string{"sku": {"b"}}, `{"count":1,"sku":"b"}`},
		{"unknown names", ``, map[string][]string{"page": {"1"}}, `{}`},
		{"what does not fit stays for the validation", ``, map[string][]string{"count": {"three"}}, `{"count":"three"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := s.bind([]byte(tt.body), tt.values)
			if err != nil || string(got) != tt.want {
				t.Errorf("bind = %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func FuzzAnyBodyIsEitherTakenOrToldWhy(f *testing.F) {
	s, err := schemaOf(reflect.TypeFor[parcel]())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"sku":"tea","quantity":2}`)
	f.Add(`{"sku":"tea","quantity":2,"lines":[{"text":"a"}],"due":"yesterday"}`)
	f.Add("\xff{")
	f.Fuzz(func(t *testing.T, body string) {
		var v parcel
		err := decode(s, []byte(body), &v)
		if err == nil {
			if v.Quantity < 1 || v.Quantity > 9 {
				t.Errorf("decode(%q) took a quantity of %d, which the contract forbids", body, v.Quantity)
			}
			return
		}
		if CodeOf(err) != InvalidArgument {
			t.Errorf("decode(%q) = %v; want an InvalidArgument", body, err)
		}
	})
}

type colour int

func (c colour) MarshalText() ([]byte, error) { return []byte("red"), nil }
func (c *colour) UnmarshalText([]byte) error  { return nil }

type anything struct{}

func (a anything) MarshalJSON() ([]byte, error) { return []byte(`{"any":[1]}`), nil }
func (a *anything) UnmarshalJSON([]byte) error  { return nil }

type Base struct {
	N int `json:"n"`
}

func TestTypesWithAJSONFormOfTheirOwnAreTakenAsTheyAreEncoded(t *testing.T) {
	t.Parallel()
	values := []any{
		struct {
			B []byte  `json:"b" maxLength:"8"`
			A [4]byte `json:"a"`
		}{B: []byte("xy")},
		struct {
			R jsontext.Value `json:"r"`
			S stdjson.RawMessage
		}{R: jsontext.Value(`[1]`), S: stdjson.RawMessage(`{}`)},
		struct {
			C colour     `json:"c"`
			P *colour    `json:"p"`
			I netip.Addr `json:"i"`
			N *big.Int   `json:"n"`
		}{I: netip.MustParseAddr("127.0.0.1")},
		struct {
			J anything   `json:"j"`
			L []anything `json:"l"`
		}{L: []anything{{}}},
		struct {
			N int64 `json:"n,string"`
		}{N: 7},
		struct {
			Base
			T *time.Time `json:"t"`
		}{},
		struct {
			Level  int      `json:"level" enum:"1,2"`
			Colour *string  `json:"colour" enum:"red,blue"`
			Tags   []string `json:"tags" enum:"a,b" maxItems:"2"`
		}{Level: 2, Tags: []string{"b"}},
	}
	for _, v := range values {
		s, err := schemaOf(reflect.TypeOf(v))
		if err != nil {
			t.Errorf("schemaOf(%T) = %v", v, err)
			continue
		}
		body, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if fields := s.check(body); len(fields) > 0 {
			t.Errorf("%s is encoded from %T, and refused: %v", body, v, fields)
		}
	}
}
