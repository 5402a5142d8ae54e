package ledger

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Counts are the transitions of one address so far, for rates and totals. A transition is counted once, however
// often it was reported.
type Counts struct {
	Address      string    `json:"address"`
	Style        string    `json:"style"`
	Accepted     uint64    `json:"accepted"`
	Attempts     uint64    `json:"attempts"` // begun, of messages and at the callee's side of calls
	Done         uint64    `json:"done"`
	Failed       uint64    `json:"failed"` // attempts
	Delayed      uint64    `json:"delayed"`
	DeadLettered uint64    `json:"dead_lettered"`
	Redriven     uint64    `json:"redriven"`
	Filtered     uint64    `json:"filtered"`
	Expired      uint64    `json:"expired"`
	Called       uint64    `json:"called"` // attempts of calls begun, at the caller
	Answered     uint64    `json:"answered"`
	Refused      uint64    `json:"refused"` // of Answered: with an error
	Ended        uint64    `json:"ended"`   // operations and steps, without success
	Last         time.Time `json:"last"`    // when something happened last
}

type edge struct{ address, style string }

// edgesKept bounds the addresses that are counted; what comes after them is counted under "…".
const edgesKept = 10_000

// Counts are those of all addresses, sorted by address and style.
func (x *Index) Counts() []Counts {
	all := make([]Counts, 0, len(x.edges))
	for _, c := range x.edges {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Counts) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), strings.Compare(a.Style, b.Style))
	})
	return all
}

func (x *Index) count(t *Transition) {
	e := edge{t.Address, t.Style}
	c := x.edges[e]
	if c == nil {
		if len(x.edges) >= edgesKept {
			e = edge{"…", ""}
		}
		if c = x.edges[e]; c == nil {
			c = &Counts{Address: e.address, Style: e.style}
			x.edges[e] = c
		}
	}
	if t.At.After(c.Last) {
		c.Last = t.At
	}
	*c.of(t.Kind)++
	if t.Kind == Answered && t.Reason != "" {
		c.Refused++
	}
}

func (c *Counts) of(k Kind) *uint64 {
	switch k {
	case Accepted:
		return &c.Accepted
	case Received:
		return &c.Attempts
	case Done:
		return &c.Done
	case Failed:
		return &c.Failed
	case Delayed:
		return &c.Delayed
	case DeadLettered:
		return &c.DeadLettered
	case Redriven:
		return &c.Redriven
	case Filtered:
		return &c.Filtered
	case Expired:
		return &c.Expired
	case Called:
		return &c.Called
	case Answered:
		return &c.Answered
	case Ended:
		return &c.Ended
	}
	return new(uint64)
}
