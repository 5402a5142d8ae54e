package cloudevents

import (
	"fmt"
	"strings"

	"github.com/parley-io/parley/transport"
)

// maxReason is the longest reason in the header, in bytes.
const maxReason = 1024

// Check reports what is wrong with an event that was read from the channel of an address.
func Check(e *transport.Envelope, address string) error {
	if e.Address != address {
		return fmt.Errorf("attribute type: got %q, want %q", e.Address, address)
	}
	return e.Validate()
}

// Malformed is the envelope that is delivered in place of what could not be read: the body as it came, an ID made of
// its place in the broker, and why in the header [transport.Malformed]. Of a long place the end counts, which tells
// messages apart.
func Malformed(address, place string, body []byte, why error) *transport.Envelope {
	return &transport.Envelope{
		ID: place[max(len(place)-transport.MaxIDBytes, 0):], Address: address, Source: "unknown", Body: body,
		Headers: map[string]string{transport.Malformed: printable(why.Error())},
	}
}

// printable makes a header's value of any text.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r <= 0x9f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
}
