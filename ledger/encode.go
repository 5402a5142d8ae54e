package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// appendWithin appends t as JSON of at most limit bytes. A list of expected groups that does not fit is left out, which
// reads as "not known".
func appendWithin(dst []byte, t *Transition, limit int) ([]byte, error) {
	body, err := appendTransition(dst, t)
	if err != nil || len(body)-len(dst) <= limit {
		return body, err
	}
	short := *t
	short.Expected = nil
	body, err = appendTransition(dst, &short)
	if n := len(body) - len(dst); err == nil && n > limit {
		err = fmt.Errorf("transition of %d bytes, want at most %d", n, limit)
	}
	return body, err
}

// appendTransition appends t as its tags say: each message has several transitions, and by reflection these cost as much as
// the message. Text that is not UTF-8 gets replacement characters: an error's text can be anything.
func appendTransition(dst []byte, t *Transition) (_ []byte, err error) {
	if dst, err = appendTime(append(dst, `{"at":`...), t.At); err != nil {
		return dst, err
	}
	dst = appendText(append(dst, `,"kind":`...), string(t.Kind))
	dst = appendText(append(dst, `,"id":`...), t.ID)
	text := func(member, value string) {
		if value != "" {
			dst = appendText(append(dst, member...), value)
		}
	}
	number := func(member string, value int64) {
		if value != 0 {
			dst = strconv.AppendInt(append(dst, member...), value, 10)
		}
	}
	text(`,"address":`, t.Address)
	text(`,"style":`, t.Style)
	text(`,"key":`, t.Key)
	text(`,"copy":`, t.Copy)
	text(`,"correlation":`, t.Correlation)
	text(`,"causation":`, t.Causation)
	text(`,"trace":`, t.Trace)
	text(`,"source":`, t.Source)
	text(`,"service":`, t.Service)
	text(`,"instance":`, t.Instance)
	text(`,"group":`, t.Group)
	number(`,"attempt":`, int64(t.Attempt))
	number(`,"attempts":`, int64(t.Attempts))
	number(`,"took":`, int64(t.Took))
	if !t.Until.IsZero() {
		if dst, err = appendTime(append(dst, `,"until":`...), t.Until); err != nil {
			return dst, err
		}
	}
	text(`,"reason":`, t.Reason)
	text(`,"by":`, t.By)
	if t.Expected != nil {
		dst = append(dst, `,"expected":[`...)
		for n, group := range t.Expected {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = appendText(dst, group)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}'), nil
}

func appendText(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // its error is that something was replaced
	return dst
}

// appendTime fails for what RFC 3339 cannot express, such as the year 10000.
func appendTime(dst []byte, t time.Time) ([]byte, error) {
	dst, err := t.AppendText(append(dst, '"'))
	return append(dst, '"'), err
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
