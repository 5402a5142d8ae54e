package conform

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
)

// place is the broker of a URL, under a prefix to work with.
type place struct {
	*network.Place
	url string
}

// locate understands a URL. Without a prefix it makes one that nobody else has: the URL's own, if any, is its beginning.
func locate(raw, prefix string) (place, error) {
	there, err := network.Locate(raw)
	if err != nil {
		return place{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if prefix == "" {
		if prefix = there.Prefix(); prefix == "" {
			prefix = "conform"
		}
		prefix += "-" + strings.ToLower(rand.Text()[:8])
	}
	if err := transport.CheckPrefix(prefix); err != nil {
		return place{}, fmt.Errorf("%w: the run's own %w: shorten prefix= of the URL", ErrOptions, err)
	}
	return place{there.Under(prefix), raw}, nil
}

// replay is the command that tries one check again.
func (p place) replay(o Options, number int) string {
	command := fmt.Sprintf("parley conform '%s' --checks %d --seed %d", p, number, o.Seed)
	if o.Full {
		command += " --full"
	}
	return command
}

// open connects to a broker that is elsewhere.
func (p place) open(ctx context.Context) (transport.Broker, error) { return p.Open(ctx, "conform") }
