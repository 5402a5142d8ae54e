package interop_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
)

// The contract. There is a channel of each form.
var (
	API = parley.NewAPI("shop", 1)

	OrderPlaced  = parley.NewEvent[Order](API, "order-placed").KeyedBy(Order.customer)
	Restocked    = parley.NewEvent[Order](API, "restocked")
	PriceChanged = parley.NewEvent[Order](API, "price-changed", parley.Stream(time.Hour, 64<<20)).KeyedBy(Order.customer)
	CancelOrder  = parley.NewCommand[Order](API, "cancel-order").KeyedBy(Order.customer)
)

// Order is the payload of all of it.
type Order struct {
	ID       string `json:"id" minLength:"1"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents" minimum:"1"`
}

func (o Order) customer() string { return o.Customer }

// channel is what a stranger has to be told about a place.
type channel struct {
	address    string
	partitions int // 0 = unordered
}

// events are the channels that a stranger may read without taking anything away from others.
func events() []channel {
	return []channel{{OrderPlaced.Address(), 8}, {Restocked.Address(), 0}, {PriceChanged.Address(), 8}}
}

func channels() []channel { return append(events(), channel{CancelOrder.Address(), 8}) }

// scene is a service that handles everything, on a network of its own, and a stranger on the same broker.
type scene struct {
	stranger stranger
	prefix   string
	client   *parley.Client
	network  *parley.Network
	handled  chan handling
}

// handling is what a handler was called with.
type handling struct {
	parley.Message
	order Order
}

// open runs the service until the test ends.
func open(t *testing.T, broker string) *scene {
	t.Helper()
	s := &scene{prefix: "interop-" + strings.ToLower(rand.Text()[:8]), handled: make(chan handling, 64)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	opening, opened := context.WithTimeout(ctx, patience)
	defer opened()
	var err error
	if s.network, err = network.Open(opening, broker+"?survives=process&prefix="+s.prefix); err != nil {
		t.Fatalf("network.Open: %v", err)
	}
	t.Cleanup(func() {
		closing, closed := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer closed()
		if err := s.network.Close(closing); err != nil {
			t.Errorf("closing the network: %v", err)
		}
	})
	if s.client, err = parley.NewClient("shop", s.network, parley.WithLogger(slog.New(slog.DiscardHandler))); err != nil {
		t.Fatal(err)
	}
	service, err := parley.NewService(s.client, parley.Grace(time.Millisecond),
		OrderPlaced.Subscribe("books", s.handle), Restocked.Subscribe("books", s.handle),
		PriceChanged.Subscribe("books", s.handle), CancelOrder.Handle(s.handle))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := service.Run(ctx); err != nil {
			t.Errorf("the service ended with %v; want nil", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		within(t, ended, "the service ends")
	})
	select {
	case <-service.Ready():
	case <-ended:
		t.Fatal("the service has ended; want it to be ready")
	case <-time.After(patience):
		t.Fatalf("the service is not ready after %v", patience)
	}
	return s
}

func (s *scene) handle(ctx context.Context, o Order) error {
	message, _ := parley.MessageFrom(ctx)
	s.handled <- handling{message, o}
	return nil
}

// deadLetters begins to read those that are and will be.
func (s *scene) deadLetters(t *testing.T) <-chan *delivery.DeadLetter {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	letters, ended := make(chan *delivery.DeadLetter, 64), make(chan error, 1)
	route := transport.Route{Channel: delivery.DeadLetters(), From: transport.Position{Start: true}}
	go func() {
		ended <- s.network.Messages.Receive(ctx, route, func(d *transport.Delivery) {
			defer d.Settle(transport.Done)
			letter, _, err := delivery.ReadDeadLetter(d.Envelope)
			if err != nil || letter == nil {
				t.Errorf("ReadDeadLetter = %v, %v; want a dead letter", letter, err)
				return
			}
			letters <- letter
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := within(t, ended, "the reader of dead letters ends"); err != nil {
			t.Errorf("reading dead letters: %v", err)
		}
	})
	return letters
}

// next is what is handled next. What ends among the dead letters before says why it was not handled.
func (s *scene) next(t *testing.T, letters <-chan *delivery.DeadLetter, what string) (h handling) {
	t.Helper()
	select {
	case h = <-s.handled:
	case letter := <-letters:
		t.Fatalf("among the dead letters is %s, because %q; want that %s", letter.ID, letter.Reason, what)
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
	}
	return h
}

// within is the next of c, which must come in time.
func within[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
	}
	return v
}
