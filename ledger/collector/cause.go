package collector

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// varying matches what differs between two failures of one cause: UUIDs, long hexadecimal words, numbers.
var varying = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|\b[0-9a-f]{8,}\b|[0-9]+(\.[0-9]+)*`)

const causeBytes = 200

// behindAnother is the cause of what another dead letter of its key keeps from its handler, whatever that one is.
const behindAnother = "behind #"

// normalise is the first line of a reason, in which what varies is "#".
func normalise(reason string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(reason), "\n")
	line = varying.ReplaceAllString(line, "#")
	if len(line) > causeBytes {
		line = strings.ToValidUTF8(line[:causeBytes], "") + "…"
	}
	return line
}

// causeKey names a cause: eight hexadecimal digits, the same in every collector.
func causeKey(address, receiver, reason string) string {
	sum := sha256.Sum256([]byte(address + "\n" + receiver + "\n" + reason))
	return hex.EncodeToString(sum[:4])
}
