package telemetry

import (
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// namesKept is how many addresses, groups and services together become labels of metrics. The ledger's index keeps ten
// times as many; a time series costs more.
const namesKept = 1000

// names bounds the values of labels, some of which come from a wire.
type names struct {
	known sync.Map // string to struct{}
	n     atomic.Int64
}

// label is name, or other if too many came before it or it is no UTF-8.
func (s *names) label(name string) string {
	if _, ok := s.known.Load(name); ok {
		return name
	}
	if !utf8.ValidString(name) || s.n.Add(1) > namesKept {
		return other
	}
	s.known.Store(name, struct{}{}) // twice at once costs a place
	return name
}
