package collector

import (
	"context"
	"time"

	"github.com/parley-io/parley/ledger"
)

// StatsRequest asks for the statistics.
type StatsRequest struct{}

// Stats are counts since the beginning of what the ledger still had when the collector began; two of them give rates.
type Stats struct {
	At        time.Time       `json:"at"`
	Since     time.Time       `json:"since"` // when the collector began
	CaughtUp  bool            `json:"caught_up"`
	Addresses []ledger.Counts `json:"addresses"`
	Ledger    ledger.Totals   `json:"ledger"`
	Open      int             `json:"open_dead_letters"`
	Redriven  int             `json:"redriven_dead_letters"`
}

// Stats are the collector's statistics.
func (c *Collector) Stats(_ context.Context, _ StatsRequest) (Stats, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{At: c.now().UTC(), Since: c.since.UTC(), Addresses: c.index.Counts(), Ledger: c.index.Totals()}
	s.Open, s.Redriven = c.failed.open()
	select {
	case <-c.caught:
		s.CaughtUp = true
	default:
	}
	return s, nil
}
