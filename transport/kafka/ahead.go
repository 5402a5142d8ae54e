package kafka

// ahead are the offsets behind a place that are settled although something before them is not: messages of other keys,
// that were quicker. It goes with each commit, so that the next owner does not handle them again. The zero ahead is
// empty.
type ahead struct {
	base int64
	bits []byte
}

// maxAhead bounds the bitmap, so that it fits into offset.metadata.max.bytes, which is 4096, with what else is noted: what
// is settled further ahead may be handled again.
const maxAhead = 3000

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
