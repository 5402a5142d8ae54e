// Package company runs the services of an example: all of them in one process, or some.
package company

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/outside"
)

// Service is one of an example's services.
type Service struct {
	Name string
	Late bool // it does not start with the others, only when it is named
	// Handles are what it is registered for.
	Handles func(client *parley.Client, log *outside.Log) []parley.Registration
	// People, if not nil, use the service beside its handlers: until ctx is done, and then until they are served.
	People func(ctx context.Context, client *parley.Client, log *outside.Log) error
}

// Company is the services of an example, in the order in which they like to start: the called before the callers.
type Company struct {
	Services []Service
	Log      string                // directory of the outside log; "" = none
	Client   []parley.ClientOption // of every service
	Strict   bool                  // operations crash after each of their steps, see [parley.StrictOperations]
}

// Names are the names of all services.
func (c *Company) Names() []string {
	var names []string
	for _, s := range c.Services {
		names = append(names, s.Name)
	}
	return names
}

// Run runs the named services on a network until ctx is done; none named = all but the late ones. Each is started when
// those before it are ready.
func (c *Company) Run(ctx context.Context, net *parley.Network, names []string) error {
	var unknown []string
	for _, name := range names {
		if !slices.Contains(c.Names(), name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("no service %s here; there are %s", strings.Join(unknown, ", "), strings.Join(c.Names(), ", "))
	}
	running, ctx := errgroup.WithContext(ctx)
	for _, s := range c.Services {
		if !slices.Contains(names, s.Name) && (len(names) > 0 || s.Late) {
			continue
		}
		ready := make(chan struct{})
		running.Go(func() error { return c.run(ctx, net, s, ready) })
		select {
		case <-ready:
		case <-ctx.Done():
		}
	}
	return running.Wait()
}

// run runs one service, and closes ready when the others can know of it.
func (c *Company) run(ctx context.Context, net *parley.Network, s Service, ready chan<- struct{}) (err error) {
	log, err := outside.Open(c.Log, s.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	client, err := parley.NewClient(s.Name, net, c.Client...)
	if err != nil {
		return err
	}
	registrations := []parley.Registration{parley.Grace(time.Second)}
	if c.Strict {
		registrations = append(registrations, parley.StrictOperations())
	}
	if s.Handles != nil {
		registrations = append(registrations, s.Handles(client, log)...)
	}
	service, err := parley.NewService(client, registrations...)
	if err != nil {
		return err
	}
	// It closes after the last of its people was served, not before.
	open, closing := context.WithCancel(context.WithoutCancel(ctx))
	defer closing()
	parts, failed := errgroup.WithContext(ctx)
	parts.Go(func() error { return service.Run(open) })
	parts.Go(func() error {
		defer closing()
		select {
		case <-service.Ready():
			close(ready)
		case <-failed.Done():
			return nil
		}
		if s.People != nil {
			if err := s.People(failed, client, log); err != nil {
				return err
			}
		}
		<-failed.Done()
		return nil
	})
	return parts.Wait()
}

// Workload is how often people want something.
type Workload struct {
	PerSecond float64       // 0 = never
	Seed      uint64        // of what they want; it fixes that, not its timing
	For       time.Duration // for how long; 0 = until the end
}

// patience is how long people who are being served when a company closes still wait.
const patience = 10 * time.Second

// People want something at an even pace until ctx is done or their time is over; each is served beside the others, up
// to 64 at once. Whoever could not come when due comes as soon as possible, so that in a time there are as many as the pace
// says. visit is given the number of a visitor that no other run has either, and what it leaves to chance. The
// context that it may wait with ends some time after ctx, and its error is that of one visitor, who goes away.
func (w Workload) People(ctx context.Context, visit func(ctx context.Context, number string, random *rand.Rand)) {
	if w.PerSecond <= 0 {
		return
	}
	waiting, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(patience, giveUp) })()
	run := strconv.FormatInt(time.Now().UnixMilli(), 36)
	interval, began := time.Duration(float64(time.Second)/w.PerSecond), time.Now()
	var inside errgroup.Group
	inside.SetLimit(64)
	for n := 1; ctx.Err() == nil && (w.For <= 0 || time.Duration(n)*interval <= w.For); n++ {
		select {
		case <-time.After(time.Until(began.Add(time.Duration(n) * interval))):
		case <-ctx.Done():
			continue
		}
		inside.Go(func() error {
			visit(waiting, fmt.Sprintf("%s-%d", run, 1000+n), rand.New(rand.NewPCG(w.Seed, uint64(n))))
			return nil
		})
	}
	_ = inside.Wait() // nobody fails
}
