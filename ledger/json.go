package ledger

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Durations are nanoseconds in JSON. The library has no representation of its own for time.Duration and takes the
// choice as an option only, which no foreign caller of Marshal would give; so the two types that have one give it.
type (
	plainTransition Transition
	plainAttempt    Attempt
)

// MarshalJSONTo implements [json.MarshalerTo].
func (t Transition) MarshalJSONTo(e *jsontext.Encoder) error {
	body, err := appendTransition(nil, &t)
	if err != nil {
		return err
	}
	return e.WriteValue(body)
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (t *Transition) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return json.UnmarshalDecode(d, (*plainTransition)(t), jsonv1.FormatDurationAsNano(true))
}

// MarshalJSONTo implements [json.MarshalerTo].
func (a Attempt) MarshalJSONTo(e *jsontext.Encoder) error {
	return json.MarshalEncode(e, (*plainAttempt)(&a), jsonv1.FormatDurationAsNano(true))
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (a *Attempt) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return json.UnmarshalDecode(d, (*plainAttempt)(a), jsonv1.FormatDurationAsNano(true))
}
