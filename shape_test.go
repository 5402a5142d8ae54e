package parley

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

type shaped struct {
	Name   string             `json:"name" minLength:"2" maxLength:"3" pattern:"^[a-z]"`
	Count  int                `json:"count" minimum:"1" exclusiveMaximum:"9"`
	Share  float64            `json:"share,omitzero" exclusiveMinimum:"0" maximum:"1"`
	Colour string             `json:"colour,omitzero" enum:"red,blue"`
	Due    time.Time          `json:"due,omitzero"`
	Lines  []line             `json:"lines,omitzero" minItems:"1" maxItems:"2"`
	Rates  map[string]float64 `json:"rates,omitzero"`
	Next   *line              `json:"next,omitzero"`
	Done   bool               `json:"done,omitzero"`
}

// What the quick check admits, the validator must admit too, for bodies of all sorts, mostly almost right ones.
func TestTheQuickCheckAdmitsNothingThatTheValidatorRefuses(t *testing.T) {
	t.Parallel()
	s, err := schemaOf(reflect.TypeFor[shaped]())
	if err != nil {
		t.Fatal(err)
	}
	if s.shape == nil {
		t.Fatal("the schema has no shape; want one, or nothing is checked here")
	}
	values := map[string][]string{
		"name": {`"tea"`, `"t"`, `"teas"`, `"äx"`, `"9a"`, `"\u0074ea"`, `7`, `null`}, "count": {`1`, `0`, `8`, `9`, `8.5`, `1e0`, `"1"`, `12345678901234567890`},
		"share": {`0.5`, `0`, `1`, `1.01`, `-1`, `null`}, "colour": {`"red"`, `"green"`, `""`},
		"due":   {`"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.123456789+01:00"`, `"2026-01-02"`, `"2026-13-02T03:04:05Z"`, `"2026-01-02t03:04:05z"`, `"2026-01-02T24:00:00Z"`, `"2026-01-02T03:04:05,5Z"`},
		"lines": {`[{"text":"a"}]`, `[]`, `[{"text":""}]`, `[{"text":"a"},{"text":"b"},{"text":"c"}]`, `[{}]`, `null`, `{}`},
		"rates": {`{"a":1,"b":0.5}`, `{"a":"1"}`, `{}`}, "next": {`null`, `{"text":"a"}`, `{"text":7}`},
		"done": {`true`, `1`}, "other": {`{"deep":[1,{"x":null}]}`, `1`},
	}
	names := []string{"name", "count", "share", "colour", "due", "lines", "rates", "next", "done", "other"}
	admitted := 0
	rapid.Check(t, func(rt *rapid.T) {
		var members []string
		for _, name := range names {
			const right = 40 // so that two of five bodies are admitted, and most others are wrong in one member
			switch which := rapid.IntRange(0, right+len(values[name])-1).Draw(rt, name); {
			case which >= right:
				members = append(members, `"`+name+`":`+values[name][which-right])
			case which%2 == 0 || name == "name" || name == "count":
				members = append(members, `"`+name+`":`+values[name][0]) // most often right
			}
		}
		body := "{" + strings.Join(rapid.Permutation(members).Draw(rt, "order"), ",") + "}" + rapid.SampledFrom([]string{"", "", "", " ", "{", ",\"a\":1"}).Draw(rt, "end")
		if !s.shape.admits([]byte(body)) {
			return
		}
		admitted++
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			rt.Fatalf("admitted %s, which is no JSON: %v", body, err)
		}
		if err := s.compiled.Validate(v); err != nil {
			rt.Fatalf("admitted %s, which the validator refuses: %v", body, err)
		}
	})
	if admitted == 0 {
		t.Error("nothing was admitted; want some, or the quick check is of no use")
	}
}

func TestTheQuickCheckAdmitsWhatServicesSend(t *testing.T) {
	t.Parallel()
	s, err := schemaOf(reflect.TypeFor[shaped]())
	if err != nil {
		t.Fatal(err)
	}
	v := shaped{
		Name: "tea", Count: 3, Share: 0.5, Colour: "red", Due: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Lines: []line{{"a"}},
		Rates: map[string]float64{"x": 1}, Next: &line{"b"}, Done: true,
	}
	body, err := encode(v)
	if err != nil {
		t.Fatal(err)
	}
	if !s.shape.admits(body) {
		t.Errorf("the quick check does not admit %s", body)
	}
	for _, wrong := range []string{`{"name":"tea","name":"tea","count":3}`, `{"name":"tea"}`, "{\"name\":\"te\xff\",\"count\":3}"} {
		if s.shape.admits([]byte(wrong)) {
			t.Errorf("the quick check admits %q", wrong)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s, err := schemaOf(reflect.TypeFor[shaped]())
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(`{"name":"tea","count":3,"share":0.5,"colour":"red","due":"2026-01-02T03:04:05Z","lines":[{"text":"a"}],"done":true}`)
	b.Run("quick", func(b *testing.B) {
		for b.Loop() {
			if !s.shape.admits(body) {
				b.Fatal("not admitted")
			}
		}
	})
	b.Run("validator", func(b *testing.B) {
		for b.Loop() {
			var v any
			if err := json.Unmarshal(body, &v); err != nil {
				b.Fatal(err)
			}
			if err := s.compiled.Validate(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
