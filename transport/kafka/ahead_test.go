package kafka

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"pgregory.net/rapid"
)

func TestWhatIsSettledAheadIsHandedOn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Int64Range(0, 1<<40).Draw(t, "base")
		deltas := rapid.SliceOf(rapid.Int64Range(0, 2*8*maxAhead)).Draw(t, "deltas")
		a := ahead{base: base}
		for _, d := range deltas {
			a.add(base + d)
		}
		topic := kadm.TopicID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "topic"))
		note := a.note(topic)
		if n := len(note); n > 4096 {
			t.Fatalf("metadata of %d bytes; want at most the 4096 that Kafka takes", n)
		}
		b, noted := readNote(base, note)
		if noted != topic {
			t.Fatalf("the note's topic = %v; want %v", noted, topic)
		}
		for d := range int64(100) {
			if got, want := b.has(base+d), slices.Contains(deltas, d); got != want {
				t.Fatalf("has(base + %d) = %v; want %v", d, got, want)
			}
		}
		for _, d := range deltas {
			if d < 8*maxAhead && !b.has(base+d) {
				t.Fatalf("has(base + %d) = false; want true", d)
			}
		}
	})
	for _, foreign := range []string{"", "1 ???", "2 AAAA", "2 AAAA /w", "3 AAAAAAAAAAAAAAAAAAAAAA /w", "consumer-1-abc"} {
		if a, topic := readNote(0, foreign); a.has(0) || a.has(5) || topic != (kadm.TopicID{}) {
			t.Errorf("readNote(%q) has something; want nothing", foreign)
		}
	}
}
