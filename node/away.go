package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/presence"
	"github.com/parley-io/parley/transport"
)

// Away is an operation whose owner has run on the network and does not run now.
type Away struct {
	Address string    `json:"address"`
	Waiting int64     `json:"waiting"`         // requests to start, signal and cancel in its queue
	Oldest  time.Time `json:"oldest,omitzero"` // of them
	Since   time.Time `json:"since"`           // since when the operation is known
}

// AwayOwners are the operations whose owners do not run, by address: what they have nobody can tell now. An error says
// which queue could not be counted; the others are returned with it.
func AwayOwners(ctx context.Context, n *parley.Network) (all []Away, err error) {
	there, ok := n.Directory.(*presence.Presence)
	if !ok {
		return nil, fmt.Errorf("the network %s has no presence", n.Name)
	}
	running := make(map[string]bool)
	for _, i := range there.Instances() {
		for _, address := range i.Operations {
			running[address] = true
		}
	}
	var errs []error
	for _, r := range there.Registrations() {
		if r.Group != parley.OwnerGroup || running[r.Address] {
			continue
		}
		a := Away{Address: r.Address, Since: r.Since}
		queue := transport.Channel{Address: r.Address, Pattern: transport.Queue}
		if a.Waiting, a.Oldest, err = n.Operator.Backlog(ctx, queue, ""); err != nil {
			errs = append(errs, fmt.Errorf("what waits for the owner of %s: %w", r.Address, err))
		}
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b Away) int { return strings.Compare(a.Address, b.Address) })
	return all, errors.Join(errs...)
}
