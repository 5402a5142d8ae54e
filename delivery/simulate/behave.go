package simulate

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

// behaviour is what the handler of a receiver does with one attempt of a message.
type behaviour struct {
	took    time.Duration
	deaf    bool // it does not heed its context
	outcome outcome
}

type outcome string

const (
	succeeds  outcome = "succeeds"
	fails     outcome = "fails"
	hopeless  outcome = "fails for good"
	later     outcome = "fails, not again within 3 s"
	panics    outcome = "panics"
	vanishes  outcome = "ends its goroutine"
	unwanted  outcome = "is not wanted"
	missing   outcome = "misses what it depends on"
	undecided outcome = "can't be decided upon"
)

var errPlanned = errors.New("card declined")

// behave follows from its arguments alone, so that whatever else happens does not change it.
func behave(seed uint64, receiver string, e *transport.Envelope) behaviour {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s/%s", receiver, e.ID)
	kind := rand.New(rand.NewPCG(seed, h.Sum64()))
	attempt := max(e.Attempt, 1)
	each := rand.New(rand.NewPCG(seed^h.Sum64(), uint64(attempt)))
	b := behaviour{took: time.Duration(each.IntN(300)) * time.Millisecond, outcome: succeeds}
	redriven := strings.HasPrefix(e.Copy, "r")
	first := attempt == 1
	switch n := kind.IntN(100); {
	case n < 55:
	case n < 65: // now and then
		if attempt <= 1+kind.IntN(4) {
			b.outcome = fails
		}
	case n < 73:
		if !redriven || kind.IntN(3) == 0 {
			b.outcome = fails
		}
	case n < 77:
		if !redriven {
			b.outcome = hopeless
		}
	case n < 81:
		if !redriven {
			b.outcome = panics
		}
	case n < 83:
		if first {
			b.outcome = vanishes
		}
	case n < 87: // longer than its deadline
		if first {
			b.took = 5 * time.Second
		}
	case n < 90: // too long, and it does not care
		if first {
			b.took, b.deaf = 3*time.Second, true
		}
	case n < 94:
		if first {
			b.outcome = later
		}
	case n < 97:
		b.outcome = unwanted
	case n < 99:
		if first {
			b.outcome = undecided
		}
	default: // outlives every drain
		if first {
			b.took, b.deaf = 40*time.Second, true
		}
	}
	return b
}

// do is the end of a run of a handler that was not interrupted.
func (o outcome) do() error {
	switch o {
	case fails, undecided:
		return errPlanned
	case hopeless:
		return delivery.Permanent(errPlanned)
	case missing:
		return delivery.DependencyDown(errPlanned)
	case later:
		return delivery.RetryAfter(errPlanned, 3*time.Second)
	case panics:
		panic("as planned")
	}
	return nil
}
