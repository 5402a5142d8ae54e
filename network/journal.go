package network

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/store/mem"
	"github.com/parley-io/parley/store/sqlite"
)

// Journal opens the journal of a service's operations.
type Journal = func(ctx context.Context, service string) (operation.Journal, error)

// defaultJournals is where journals are in the directory of an embedded broker or of a `parley dev`.
const defaultJournals = "journal"

// journalOf is how the services of a process keep their operations: on mem:// in its memory, else each in a file of its
// own, which one process at a time can have.
func (o *options) journalOf(where address) Journal {
	switch {
	case o.journal != nil:
		return o.journal
	case where.scheme == "mem":
		return memoryJournals()
	}
	dir := filepath.Join(cmp.Or(where.journal, filepath.Join(cmp.Or(where.dir, defaultDir), defaultJournals)), where.prefix)
	return func(ctx context.Context, service string) (operation.Journal, error) {
		j, err := sqlite.Open(ctx, filepath.Join(dir, service+".db"), sqlite.Options{})
		if err != nil {
			return nil, fmt.Errorf("journal of %s: %w", service, err)
		}
		return j, nil
	}
}

// memoryJournals keeps one database for each service, for as long as the process lives.
func memoryJournals() Journal {
	var mu sync.Mutex
	databases := make(map[string]*mem.Database)
	return func(ctx context.Context, service string) (operation.Journal, error) {
		mu.Lock()
		d := databases[service]
		if d == nil {
			d = mem.New()
			databases[service] = d
		}
		mu.Unlock()
		return d.Open(ctx)
	}
}
