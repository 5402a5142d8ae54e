package shop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley"
)

// Options are what a service of the shop is started with. The zero Options are fine.
type Options struct {
	Journal string // directory of the outside log; "" = none
	Orders  Workload
	// Quick shortens the retries and breakers so that a story of a minute shows what else takes an hour: 1 immediate
	// retry, then after 1 s and 2 s; a breaker that tries again after 1 s to 4 s.
	Quick bool
}

// Workload is what the customers of the storefront do.
type Workload struct {
	PerSecond float64       // orders; 0 = no customers
	Seed      uint64        // of what is ordered; it fixes the orders, not their timing
	For       time.Duration // 0 = until the end
}

// builder makes the registrations of one service.
type builder func(*parley.Client, *Journal, Options) []parley.Registration

// services are in the order in which they like to start: the called before the callers.
var services = []struct {
	name  string
	build builder
}{
	{"prices", pricesService},
	{"stock", stockService},
	{"cards", cardsService},
	{"billing", billingService},
	{"mail", mailService},
	{"warehouse", warehouseService},
	{"fraud", fraudService},
	{"storefront", storefrontService},
	{"analytics", analyticsService},
}

// Services are the names of all services.
func Services() []string {
	var names []string
	for _, s := range services {
		names = append(names, s.name)
	}
	return names
}

// Run runs some of the shop's services on a network until ctx is done; none named = all but the late joiner. Each is
// started when those before it are ready.
func Run(ctx context.Context, net *parley.Network, names []string, o Options) error {
	if len(names) == 0 {
		names = slices.DeleteFunc(Services(), func(n string) bool { return n == "analytics" })
	}
	var unknown []string
	for _, name := range names {
		if !slices.Contains(Services(), name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("no service %s in the shop; there are %s", strings.Join(unknown, ", "), strings.Join(Services(), ", "))
	}
	running, ctx := errgroup.WithContext(ctx)
	for _, s := range services {
		if !slices.Contains(names, s.name) {
			continue
		}
		ready := make(chan struct{})
		running.Go(func() error { return run(ctx, net, s.name, s.build, o, ready) })
		select {
		case <-ready:
		case <-ctx.Done():
		}
	}
	return running.Wait()
}

// run runs one service, and closes ready when the others can know of it.
func run(ctx context.Context, net *parley.Network, name string, build builder, o Options, ready chan<- struct{}) (err error) {
	journal, err := OpenJournal(o.Journal, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	var options []parley.ClientOption
	if o.Quick {
		options = append(options, parley.WithPolicy(quickPolicy()))
	}
	client, err := parley.NewClient(name, net, options...)
	if err != nil {
		return err
	}
	service, err := parley.NewService(client, append(build(client, journal, o), parley.Grace(time.Second))...)
	if err != nil {
		return err
	}
	// The shop closes after its last customer was served, not before.
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
		if name == "storefront" && o.Orders.PerSecond > 0 {
			if err := customers(failed, client, journal, o.Orders); err != nil {
				return err
			}
		}
		<-failed.Done()
		return nil
	})
	return parts.Wait()
}

// receiving are the options of each handler of messages.
func receiving(o Options) []parley.ReceiveOption {
	if !o.Quick {
		return nil
	}
	return []parley.ReceiveOption{parley.Retries(1, time.Second, 2*time.Second)}
}
