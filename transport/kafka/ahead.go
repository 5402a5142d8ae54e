package kafka

import (
	"encoding/base64"
	"strings"
)

// ahead are the offsets behind a place that are settled although something before them is not: messages of other keys,
// that were quicker. It goes with each commit as its metadata, so that the next owner does not handle them again. The
// zero ahead is empty.
type ahead struct {
	base int64
	bits []byte
}

const (
	aheadFormat = "1 "
	// maxAhead bounds the bitmap, so that it fits into offset.metadata.max.bytes, which is 4096: what is settled further
	// ahead may be handled again.
	maxAhead = 3000
)

func (a *ahead) add(offset int64) {
	n := offset - a.base
	if n < 0 || n >= maxAhead*8 {
		return
	}
	for int64(len(a.bits)) <= n/8 {
		a.bits = append(a.bits, 0)
	}
	a.bits[n/8] |= 1 << (n % 8)
}

func (a *ahead) has(offset int64) bool {
	n := offset - a.base
	return n >= 0 && n/8 < int64(len(a.bits)) && a.bits[n/8]&(1<<(n%8)) != 0
}

func (a *ahead) String() string {
	if len(a.bits) == 0 {
		return ""
	}
	return aheadFormat + base64.RawStdEncoding.EncodeToString(a.bits)
}

// parseAhead is the reverse of String. What it can't read, of another version or another client, is empty.
func parseAhead(base int64, s string) ahead {
	text, ok := strings.CutPrefix(s, aheadFormat)
	if !ok {
		return ahead{}
	}
	bits, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return ahead{}
	}
	return ahead{base, bits}
}
