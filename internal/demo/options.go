package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"time"

	"github.com/parley-io/parley"
)

// Options of [Run]. The zero value runs until ctx is done and tells nobody.
type Options struct {
	// Executable is the parley binary that is run for the broker ("parley dev") and for each service ("parley shop
	// NAME", "parley bank NAME"); "" = the one that runs now.
	Executable string
	// Network is the URL of the network that carries the story, of a broker that runs already; "" = an embedded one in a
	// process of its own. Unless it names a prefix, one is made up, so that two demos do not meet on one broker.
	Network string
	// Data is where everything is kept: the broker's data, the outside logs, what the processes log. "" = a temporary
	// directory that is removed at the end, unless something was lost.
	Data string
	// Duration is how long the story takes on a machine that is fast enough; its steps are drawn together below a minute
	// and apart above. 0 = a story of a minute, and then the shop goes on until ctx is done; otherwise at least
	// [MinDuration].
	Duration time.Duration
	// Seed is of what customers order and applicants want, not of when.
	Seed uint64
	// Orders are those placed in a second; 0 = 4.
	Orders float64
	// Applications are those for loans in a second; 0 = half as many as Orders.
	Applications float64
	// Out takes the story, a line each; nil = nobody.
	Out io.Writer

	// Beside, if not nil, runs beside the story from the first loan on. Customers order until both have ended. Its ctx is
	// done when the story is told to end early.
	Beside func(ctx context.Context, cast *Cast, net *parley.Network)
	// After, if not nil, is called when everything has been counted and still runs. Its error is one of Run.
	After func(ctx context.Context, cast *Cast, net *parley.Network, outside *Outside) error
}

// MinDuration is the shortest story that has room for all its steps.
const MinDuration = 20 * time.Second

// FullDuration is the story that [Options].Duration 0 tells.
const FullDuration = 60 * time.Second

func (o Options) normal() (Options, error) {
	if o.Duration != 0 && o.Duration < MinDuration {
		return o, fmt.Errorf("demo: duration %v: want 0 (until the end) or at least %v", o.Duration, MinDuration)
	}
	if o.Orders < 0 || o.Applications < 0 {
		return o, fmt.Errorf("demo: %v orders and %v applications per second: want more than 0", o.Orders, o.Applications)
	}
	o.Orders = cmp.Or(o.Orders, 4)
	o.Applications = cmp.Or(o.Applications, o.Orders/2)
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Network != "" {
		u, err := url.Parse(o.Network)
		if err != nil {
			return o, errors.New("demo: the network is no URL")
		}
		parameters := u.Query()
		if !parameters.Has("prefix") {
			parameters.Set("prefix", fmt.Sprintf("demo-%08x", rand.Uint32()))
			u.RawQuery = parameters.Encode()
			o.Network = u.String()
		}
	}
	if o.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("demo: find the program that runs: %w", err)
		}
		o.Executable = exe
	}
	return o, nil
}
