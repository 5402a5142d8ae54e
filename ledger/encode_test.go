package ledger

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"pgregory.net/rapid"
)

// byTags is t as the library encodes it by the tags of its fields.
func byTags(t *Transition) (string, error) {
	body, err := json.Marshal((*plainTransition)(t), jsonv1.FormatDurationAsNano(true), jsontext.AllowInvalidUTF8(true))
	return string(body), err
}

// transitions have any of their fields, each zero now and then.
func transitions() *rapid.Generator[Transition] {
	text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	at := rapid.Map(rapid.Int64(), func(n int64) time.Time { return time.Unix(0, n).UTC() })
	return rapid.Custom(func(t *rapid.T) (made Transition) {
		for v := range fields(&made) {
			switch f := v.Addr().Interface().(type) {
			case *time.Time:
				*f = rapid.OneOf(rapid.Just(time.Time{}), at).Draw(t, "time")
			case *[]string:
				*f = rapid.OneOf(rapid.Just[[]string](nil), rapid.SliceOf(text)).Draw(t, "list")
			default:
				switch v.Kind() {
				case reflect.String:
					v.SetString(text.Draw(t, "text"))
				default:
					v.SetInt(rapid.Int64().Draw(t, "number"))
				}
			}
		}
		return made
	})
}

func fields(t *Transition) func(yield func(reflect.Value) bool) {
	return func(yield func(reflect.Value) bool) {
		v := reflect.ValueOf(t).Elem()
		for i := range v.NumField() {
			if !yield(v.Field(i)) {
				return
			}
		}
	}
}

func TestATransitionIsWrittenAsItsTagsSay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		made := transitions().Draw(t, "transition")
		want, wrong := byTags(&made)
		got, err := appendTransition(nil, &made)
		if wrong != nil || err != nil || string(got) != want {
			t.Fatalf("appendTransition = %s, %v; want %s, %v", got, err, want, wrong)
		}
	})
}

func TestATimeThatNobodyCanReadIsAnError(t *testing.T) {
	t.Parallel()
	far := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, made := range []Transition{{At: far}, {Until: far}} {
		if body, err := appendTransition(nil, &made); err == nil {
			t.Errorf("appendTransition = %s; want an error, or nobody can read the whole batch", body)
		}
	}
}

func BenchmarkAppendTransition(b *testing.B) {
	made := Transition{
		At: time.Now(), Kind: Done, ID: "01JC2J6F3T9ZK6Q8W4Y5N7B1RX", Address: "orders.place", Style: StyleCommand, Key: "order-1234567",
		Trace: "00-" + strings.Repeat("a", 32) + "-" + strings.Repeat("b", 16) + "-01", Source: "storefront", Service: "shop",
		Instance: "shop-1~abcdefghij", Group: "shop", Attempt: 1, Attempts: 6, Took: 1234567,
	}
	b.Run("by hand", func(b *testing.B) {
		for b.Loop() {
			var room [512]byte
			if body, err := appendWithin(room[:0], &made, 1<<20); err != nil || len(body) == 0 {
				b.Fatal(err)
			}
		}
	})
	b.Run("by tags", func(b *testing.B) {
		for b.Loop() {
			if body, err := byTags(&made); err != nil || body == "" {
				b.Fatal(err)
			}
		}
	})
}
