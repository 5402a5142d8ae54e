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

// Run runs some of the shop's services on a network until ctx is done; none named = all but the late joiner.
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
	for _, name := range names {
		running.Go(func() error { return run(ctx, net, name, o) })
	}
	return running.Wait()
}

// run runs one service.
func run(ctx context.Context, net *parley.Network, name string, o Options) (err error) {
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
	i := slices.IndexFunc(services, func(s struct {
		name  string
		build builder
	}) bool {
		return s.name == name
	})
	registrations := append(services[i].build(client, journal, o), parley.Grace(time.Second))
	service, err := parley.NewService(client, registrations...)
	if err != nil {
		return err
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return service.Run(ctx) })
	if name == "storefront" && o.Orders.PerSecond > 0 {
		parts.Go(func() error {
			select {
			case <-service.Ready():
				return customers(ctx, client, journal, o.Orders)
			case <-ctx.Done():
				return nil
			}
		})
	}
	return parts.Wait()
}

// receiving are the options of each handler of messages.
func receiving(o Options) []parley.ReceiveOption {
	if !o.Quick {
		return nil
	}
	return []parley.ReceiveOption{parley.Retries(1, time.Second, 2*time.Second)}
}
