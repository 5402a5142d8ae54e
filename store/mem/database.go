package mem

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/parley-io/parley/operation"
)

// Database is what outlives a process: the operations, and who owns them. Safe for concurrent use.
type Database struct {
	id  string
	mu  sync.Mutex
	now operation.Lease // the one that is valid; its zero value before the first Register
	ops map[string]*operation.Stored
}

// New is an empty database.
func New() *Database {
	return &Database{id: rand.Text(), ops: map[string]*operation.Stored{}}
}

// Open gives access to the database, as often as wanted: all see the same. The worker that registered last owns
// everything and fences off all others, so that a test kills a process by no longer using its journal, closed or not.
func (d *Database) Open(ctx context.Context) (operation.Journal, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &journal{d: d}, nil
}
