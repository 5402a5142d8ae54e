package transport

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Envelope is one message, or one request or answer of a call, on its way. On every wire it is a CloudEvents 1.0
// event in binary mode; see [Envelope.Attributes].
type Envelope struct {
	ID          string // made before the first attempt, never changed after; see [Envelope.Validate]
	Source      string // the service that sent it
	Address     string // where it goes: "orders.v1.cancel-order"
	Key         string // order is kept among messages of one key; "" = none
	ContentType string // of Body; "" = application/json

	// Copy tells apart the copies of one ID that must all be delivered: "" the first, "a4" a delayed attempt,
	// "r1" a redrive.
	Copy string
	// Group, when set, delivers to this subscriber group only (a delayed retry, a redrive). Brokers deduplicate
	// (ID, Copy, Group), never ID alone: two groups may delay the same attempt of one message.
	Group string

	Correlation string // the ID that began the story; "" = this one
	Causation   string // the ID of the message or call whose handling sent this one
	Trace       string // W3C traceparent

	Time      time.Time     // when it was made, by the sender's clock
	NotBefore time.Time     // zero = at once
	Lifetime  time.Duration // 0 = for ever; counted from the broker's acceptance; milliseconds, rounded up, on a wire
	Attempt   int           // attempts that came before this copy plus one; 0 reads as 1

	// Headers are CloudEvents extension attributes: names of a-z and 0-9, values without control characters. Some have
	// a meaning in answers, see [Reply], and in requests, see [HeaderPrefer].
	Headers map[string]string
	// Body belongs to the envelope: nobody changes it after Send.
	Body []byte
}

// Limits of an envelope that hold on every broker. A broker's own limit on the body is [Features.MaxBytes].
const (
	MaxHeaders     = 64        // extension attributes
	MaxHeaderBytes = 8 << 10   // of one value
	MaxKeyBytes    = 1 << 10   // of Key
	MaxIDBytes     = 128       // of ID
	MaxAddress     = 200       // bytes of Address and of Group
	DefaultMaxBody = 256 << 10 // what drivers accept unless their broker takes less
)

// Size is what counts against [Features.MaxBytes]: the body and the headers with their names.
func (e *Envelope) Size() int {
	n := len(e.Body) + len(e.Key)
	for k, v := range e.Headers {
		n += len(k) + len(v)
	}
	return n
}

// Malformed is the header in which a driver says why it could not read a message; its value is the reason. Such a
// message goes to the dead letters and to no handler.
const Malformed = "parleymalformed"

// Validate reports everything about e that no broker would carry unharmed, joined into one error that wraps
// [ErrRefused]. Drivers call it before they send; nothing invalid reaches a wire.
func (e *Envelope) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !visible(e.ID) || len(e.ID) > MaxIDBytes {
		bad("id %q: want 1 to %d visible ASCII characters", clip(e.ID), MaxIDBytes)
	}
	if err := CheckAddress(e.Address); err != nil {
		errs = append(errs, err)
	}
	if e.Group != "" {
		if err := CheckGroup(e.Group); err != nil {
			errs = append(errs, err)
		}
	}
	if len(e.Key) > MaxKeyBytes || !plain(e.Key) {
		bad("key %q: want at most %d bytes of UTF-8 without control characters", clip(e.Key), MaxKeyBytes)
	}
	if !plain(e.Source) || !plain(e.Correlation) || !plain(e.Causation) || !plain(e.Trace) || !plain(e.Copy) || !plain(e.ContentType) {
		bad("source, correlation, causation, trace, copy and content type: want UTF-8 without control characters")
	}
	if e.Lifetime < 0 {
		bad("lifetime %v: want 0 for ever, or more", e.Lifetime)
	}
	if e.Attempt < 0 || e.Attempt > maxAttempt {
		bad("attempt %d: want 0 to %d", e.Attempt, maxAttempt)
	}
	if !stampable(e.Time) || !stampable(e.NotBefore) {
		bad("time %v and not before %v: want years from 1 to 9999", e.Time, e.NotBefore)
	}
	if len(e.Headers) > MaxHeaders {
		bad("%d headers: want at most %d", len(e.Headers), MaxHeaders)
	}
	for k, v := range e.Headers {
		switch {
		case !attributeName(k):
			bad("header %q: want a name of 1 to 64 characters of a-z and 0-9", clip(k))
		case reserved[k]:
			bad("header %q: that name is an attribute of the envelope itself", k)
		case len(v) > MaxHeaderBytes:
			bad("header %q: %d bytes, want at most %d", k, len(v), MaxHeaderBytes)
		case !plain(v):
			bad("header %q: want UTF-8 without control characters, got %q", k, clip(v))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: message %s to %s: %w", ErrRefused, clip(e.ID), clip(e.Address), errors.Join(errs...))
}

// CheckAddress reports whether s can be an address on every broker: words of a-z, 0-9 and '-', joined by dots.
func CheckAddress(s string) error {
	if len(s) == 0 || len(s) > MaxAddress {
		return fmt.Errorf("address %q: want 1 to %d characters", clip(s), MaxAddress)
	}
	begin := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			continue
		}
		if !isWord(s[begin:i]) {
			return fmt.Errorf("address %q: want words of a-z, 0-9 and '-', joined by dots", s)
		}
		begin = i + 1
	}
	return nil
}

// CheckGroup reports whether s can name a subscriber group or a service: one word of a-z, 0-9 and '-'.
func CheckGroup(s string) error {
	if len(s) > MaxAddress || !isWord(s) {
		return fmt.Errorf("name %q: want a word of a-z, 0-9 and '-', at most %d characters", clip(s), MaxAddress)
	}
	return nil
}

// maxPrefix is the longest prefix, in characters.
const maxPrefix = 32

// CheckPrefix reports whether s can begin the names of what a driver makes on a broker, and so keep it apart from others.
func CheckPrefix(s string) error {
	if len(s) > maxPrefix || !isWord(s) {
		return fmt.Errorf("prefix %q: want a word of a-z, 0-9 and '-', at most %d characters", clip(s), maxPrefix)
	}
	return nil
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return s != ""
}

func attributeName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// visible: at least one character, all of U+0021..U+007E.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// plain: valid UTF-8 without C0 and C1 control characters, which CloudEvents forbids in strings.
func plain(s string) bool {
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r <= 0x9f {
			return false
		}
	}
	return utf8.ValidString(s)
}

const maxAttempt = 1 << 30

// stampable: RFC 3339 can write it.
func stampable(t time.Time) bool { return t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 }

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
