package transporttest

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Options of a run. The zero Options runs all checks with reduced counts.
type Options struct {
	Full     bool          // the counts of the whole list, such as 50 kills instead of 5
	Only     []int         // numbers of the checks to run; nil = all
	Seed     uint64        // of random moments; the same seed chooses the same ones
	Patience time.Duration // for one check; 0 = 2 minutes, or 10 if Full
}

// FromEnvironment are the Options that people give to tests: PARLEY_CONFORM=full, PARLEY_CHECKS with numbers such as
// "5,36", and PARLEY_SEED.
func FromEnvironment(t *testing.T) Options {
	t.Helper()
	o := Options{Full: os.Getenv("PARLEY_CONFORM") == "full"}
	for word := range strings.SplitSeq(os.Getenv("PARLEY_CHECKS"), ",") {
		if n, err := strconv.Atoi(word); err == nil {
			o.Only = append(o.Only, n)
		} else if word != "" {
			t.Fatalf("PARLEY_CHECKS has %q; want numbers of checks, joined by commas", word)
		}
	}
	if text := os.Getenv("PARLEY_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("PARLEY_SEED is %q; want a number", text)
		}
		o.Seed = seed
	}
	return o
}

func (o Options) patience() time.Duration {
	switch {
	case o.Patience > 0:
		return o.Patience
	case o.Full:
		return 10 * time.Minute
	}
	return 2 * time.Minute
}
