package simulate

import (
	"slices"
	"testing"
)

// shrinking is how often schedules are played at the most to find a smaller one.
const shrinking = 400

// Shrink looks for fewer steps of s that still break a promise, and plays each choice up to tries times. It answers what
// it found and how that went, and false when s itself did not fail again.
func Shrink(t *testing.T, s Schedule, tries int) (Schedule, Report, bool) {
	t.Helper()
	plays := 0
	again := func(s Schedule) (r Report) {
		for range tries {
			if plays++; plays > shrinking {
				break
			}
			if r = s.Play(t); len(r.Broken) > 0 {
				break
			}
		}
		return r
	}
	report := again(s)
	if len(report.Broken) == 0 {
		return s, report, false
	}
	for size := max(len(s.Steps)/2, 1); ; size /= 2 {
		for i := 0; i+size <= len(s.Steps); {
			fewer := s
			fewer.Steps = slices.Delete(slices.Clone(s.Steps), i, i+size)
			if r := again(fewer); len(r.Broken) > 0 {
				s, report = fewer, r
			} else {
				i += size
			}
		}
		if size <= 1 {
			return s, report, true
		}
	}
}
