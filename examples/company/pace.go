package company

import (
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/policy"
)

// Pace is how fast the services of an example give up and try again.
type Pace struct {
	// Quick shortens the retries and breakers so that a story of a minute shows what else takes an hour: 1 immediate
	// retry, then after 1 s and 2 s; a breaker that tries again after 1 s to 4 s. Without it they are Parley's defaults.
	Quick bool
}

// Clients are the options of every client.
func (p Pace) Clients() []parley.ClientOption {
	if !p.Quick {
		return nil
	}
	return []parley.ClientOption{parley.WithPolicy(policy.Options{Breaker: policy.BreakerOptions{Open: time.Second, MaxOpen: 4 * time.Second}})}
}

// Handling are the options of every handler of a command.
func (p Pace) Handling() []parley.HandleOption {
	if !p.Quick {
		return nil
	}
	return []parley.HandleOption{parley.Retries(1, time.Second, 2*time.Second)}
}

// Subscribing are the options of every handler of an event.
func (p Pace) Subscribing() []parley.SubscribeOption {
	if !p.Quick {
		return nil
	}
	return []parley.SubscribeOption{parley.Retries(1, time.Second, 2*time.Second)}
}
