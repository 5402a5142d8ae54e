package ledger

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// encode is t as JSON of at most limit bytes. A list of expected groups that does not fit is left out, which reads
// as "not known". Text that is not UTF-8 gets replacement characters: an error's text can be anything.
func encode(t *Transition, limit int) ([]byte, error) {
	body, err := json.Marshal(t, jsontext.AllowInvalidUTF8(true))
	if err != nil || len(body) <= limit {
		return body, err
	}
	short := *t
	short.Expected = nil
	if body, err = json.Marshal(&short, jsontext.AllowInvalidUTF8(true)); err == nil && len(body) > limit {
		err = fmt.Errorf("transition of %d bytes, want at most %d", len(body), limit)
	}
	return body, err
}

// clip shortens s to at most n bytes and an ellipsis, between two characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// visible makes a process's name fit into a message's id.
func visible(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '-'
		}
		return r
	}, clip(name, 64))
}
