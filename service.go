package parley

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/policy"
	"github.com/parley-io/parley/transport"
)

// Service handles what it was registered for, on the network of its client.
type Service struct {
	client    *Client
	answers   []*answering
	owns      []*owning
	receives  []*receiving
	consumers []*delivery.Consumer // one for each of receives
	engine    *operation.Engine    // of owns; nil = none
	intakes   []*delivery.Consumer // of the queues of owns
	journal   atomic.Pointer[string]
	strict    bool
	admission *policy.Admission
	grace     time.Duration
	flow      chan struct{} // capacity 1: the flow of a consumer has changed

	started atomic.Bool
	ready   chan struct{}
}

// DefaultGrace is how long a service that is told to stop still answers calls, so that callers learn of it first.
const DefaultGrace = 5 * time.Second

// Grace is how long a service still answers calls after Run's context is done; the default is [DefaultGrace]. Pass it
// to NewService beside the handlers.
func Grace(d time.Duration) Registration { return grace(d) }

// StrictOperations makes every operation of the service crash after each of its steps and go on from its journal, so that
// tests find code that does not fit its own journal: code that reads a clock, iterates over a map, or asks for its steps
// in another order. It is for tests. Pass it to NewService beside the handlers.
func StrictOperations() Registration { return strict{} }

type strict struct{}

func (strict) register(s *Service) error {
	s.strict = true
	return nil
}

type grace time.Duration

func (g grace) register(s *Service) error {
	s.grace = time.Duration(g)
	return nil
}

// NewService checks everything and starts nothing. It reports all that is wrong in one error: with the contracts, with
// the registrations, with what the network can't do.
func NewService(client *Client, registrations ...Registration) (*Service, error) {
	s := &Service{client: client, grace: DefaultGrace, flow: make(chan struct{}, 1), ready: make(chan struct{})}
	if client == nil {
		return nil, errors.New("service: no client; make one with NewClient")
	}
	var errs []error
	for i, r := range registrations {
		if r == nil {
			errs = append(errs, fmt.Errorf("registration %d is nil", i))
			continue
		}
		errs = append(errs, r.register(s))
	}
	seen := make(map[*API]bool)
	check := func(c *contract) {
		if !seen[c.api] {
			seen[c.api] = true
			errs = append(errs, c.api.freeze())
		}
	}
	for _, r := range s.answers {
		check(r.contract)
	}
	for _, r := range s.owns {
		check(r.contract)
	}
	for _, r := range s.receives {
		check(r.contract)
	}
	net := client.net
	if len(s.answers) > 0 && client.caller == nil {
		errs = append(errs, fmt.Errorf("%s answers calls, and the network %s has none", s.answers[0].address, net.Name))
	}
	if len(s.owns) > 0 && client.caller == nil {
		errs = append(errs, fmt.Errorf("%s is started, waited for and told by calls, and the network %s has none", s.owns[0].address, net.Name))
	}
	if len(s.receives) > 0 && client.broker == nil {
		errs = append(errs, fmt.Errorf("%s receives messages, and the network %s has no broker", s.receives[0].address, net.Name))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("service %s: %w", client.name, err)
	}
	for _, r := range s.receives {
		c, err := delivery.New(client.broker, client.recorder, s.subscription(r))
		if err != nil {
			errs = append(errs, err)
		}
		s.consumers = append(s.consumers, c)
	}
	errs = append(errs, s.newEngine(), client.telemetry.Subscriptions(s.subscriptionStates))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("service %s: %w", client.name, err)
	}
	s.admission = policy.NewAdmission(policy.AdmissionOptions{})
	return s, nil
}

// Ready is closed once everything is served and others can know of it.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Run serves until ctx is done, then drains: what others know of it is withdrawn and no more messages are fetched at
// once, calls are answered for the time of [Grace], running handlers have 20 s until their contexts end, and what is
// not handled by then stays with the broker. It returns nil after that, or the first error that makes serving useless.
// Once only.
func (s *Service) Run(ctx context.Context) error {
	if s.started.Swap(true) {
		return fmt.Errorf("service %s: Run was called twice; make another service", s.client.name)
	}
	if err := s.declare(ctx); err != nil {
		return err
	}
	stop, cancelStop := context.WithCancel(ctx) // also done when a part fails
	defer cancelStop()
	defer s.client.net.health.enter(s, stop.Done())()
	answer, cancelAnswer := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelAnswer()

	parts, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	defer context.AfterFunc(failed, cancelStop)()

	up := newGate(len(s.consumers))
	if s.client.caller != nil {
		up.left.Add(1)
		parts.Go(func() error {
			return s.client.caller.Answer(answer, s.endpoints(), func(peer string) { up.peer = peer; up.done() })
		})
	}
	for _, watch := range []func(context.Context){s.logFlow, s.watchGroups} {
		parts.Go(func() error {
			watch(stop)
			return nil
		})
	}
	for i, consumer := range s.consumers {
		parts.Go(func() error { return s.consume(stop, consumer, s.receives[i], up.done) })
	}
	if s.engine != nil {
		up.left.Add(1 + int32(len(s.intakes)))
		owner := make(chan struct{})
		parts.Go(func() error { return s.own(stop, func() { close(owner); up.done() }) })
		for _, intake := range s.intakes {
			parts.Go(func() error { return take(stop, owner, intake, up.done) })
		}
	}
	up.done() // all parts are counted
	parts.Go(func() error {
		defer cancelAnswer()
		select {
		case <-up.open:
			return s.beThere(stop, failed, up.peer)
		case <-stop.Done():
			return nil
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- parts.Wait() }() // waited for below, unless a handler of calls never returns
	select {
	case err := <-ended:
		return s.named(err)
	case <-answer.Done():
	}
	limit := time.NewTimer(callDrain)
	defer limit.Stop()
	select {
	case err := <-ended:
		return s.named(err)
	case <-limit.C:
		return s.named(fmt.Errorf("handlers of calls still run %v after the last call was taken; they ignore their context, which ends when the network is closed", callDrain))
	}
}

// callDrain is how long handlers of calls have once no more are taken; those of messages are given up as early.
const callDrain = delivery.DefaultDrain + 5*time.Second

// declare makes sure of all channels before anything is received, and reports every conflict.
func (s *Service) declare(ctx context.Context) error {
	var channels []transport.Channel
	for _, r := range s.receives {
		channels = append(channels, r.channel)
	}
	for _, o := range s.owns {
		if s.client.broker != nil {
			channels = append(channels, o.channel)
		}
	}
	if len(channels) == 0 {
		return nil
	}
	if err := delivery.Declare(ctx, s.client.broker, channels); err != nil && ctx.Err() == nil {
		return s.named(err)
	}
	return nil
}

// named says which service an error of a part is about.
func (s *Service) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("service %s: %w", s.client.name, err)
}

// gate opens when all parts of a service are up.
type gate struct {
	left atomic.Int32
	peer string // where calls are answered; set before the gate opens
	open chan struct{}
}

func newGate(parts int) *gate {
	g := &gate{open: make(chan struct{})}
	g.left.Store(int32(parts) + 1)
	return g
}

func (g *gate) done() {
	if g.left.Add(-1) == 0 {
		close(g.open)
	}
}

// beThere tells the others and whoever waits for Ready, until stop is done; then it withdraws, and goes on for the
// grace time unless a part has failed.
func (s *Service) beThere(stop, failed context.Context, peer string) error {
	leave := func(context.Context) error { return nil }
	if d := s.client.net.Directory; d != nil {
		var err error
		if leave, err = d.Announce(stop, s.instance(peer)); err != nil {
			if stop.Err() != nil {
				return nil
			}
			return fmt.Errorf("announce: %w", err)
		}
	}
	close(s.ready)
	s.client.log.Info("parley: serving", "service", s.client.name, "network", s.client.net.Name, "peer", peer)
	<-stop.Done()
	bye, cancel := context.WithTimeout(context.WithoutCancel(stop), time.Second)
	defer cancel()
	if err := leave(bye); err != nil {
		s.client.log.Warn("parley: the goodbye of a service was not confirmed", "service", s.client.name, "err", err)
	}
	if peer != "" {
		wait(failed, s.grace)
	}
	return nil
}

// wait is a sleep that ends early when ctx does.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// consume runs one subscription and makes its group known once it exists.
func (s *Service) consume(ctx context.Context, c *delivery.Consumer, r *receiving, up func()) error {
	return c.Run(ctx, func() {
		defer up()
		if d := s.client.net.Directory; d != nil && r.group != "" {
			if err := d.Register(ctx, r.address, r.group); err != nil && ctx.Err() == nil {
				s.client.log.Warn("parley: a group could not be registered; trails will not expect it", "address", r.address, "group", r.group, "err", err)
			}
		}
	})
}

// take empties the queue of an operation once there is somebody to take what is in it.
func take(ctx context.Context, owner <-chan struct{}, intake *delivery.Consumer, up func()) error {
	select {
	case <-owner:
		return intake.Run(ctx, up)
	case <-ctx.Done():
		return nil
	}
}

// instance is what the others learn of this service.
func (s *Service) instance(peer string) Instance {
	i := Instance{Service: s.client.name, ID: s.client.instance, Peer: peer, Since: time.Now()}
	for _, r := range s.answers {
		i.Answers = append(i.Answers, r.address)
	}
	for _, o := range s.owns {
		i.Answers = append(i.Answers, o.address)
		i.Operations = append(i.Operations, o.address)
	}
	if journal := s.journal.Load(); journal != nil {
		i.Journal = *journal
	}
	for _, r := range s.receives {
		i.Receives = append(i.Receives, Reception{Address: r.address, Group: r.group})
	}
	for _, c := range s.events() {
		i.Announces = append(i.Announces, c.address)
	}
	return i
}

// events are those of the APIs whose calls, operations or commands the service handles: its own, whether or not anybody subscribes.
func (s *Service) events() (events []*contract) {
	var apis []*API
	own := func(a *API) {
		if !slices.Contains(apis, a) {
			apis = append(apis, a)
		}
	}
	for _, r := range s.answers {
		own(r.api)
	}
	for _, r := range s.owns {
		own(r.api)
	}
	for _, r := range s.receives {
		if r.style == StyleCommand {
			own(r.api)
		}
	}
	for _, a := range apis {
		for _, c := range a.contracts { // frozen
			if c.style == StyleEvent {
				events = append(events, c)
			}
		}
	}
	return events
}

// endpoints are the calls, behind admission, and beside them what every service answers.
func (s *Service) endpoints() []transport.Endpoint {
	endpoints := []transport.Endpoint{s.describeEndpoint(), s.steerEndpoint()}
	for _, r := range s.answers {
		endpoints = append(endpoints, transport.Endpoint{
			Address: r.address, Method: r.method, Path: r.path, Bind: r.in.bind,
			Answer: s.admission.Wrap(s.answer(r)),
		})
	}
	for _, o := range s.owns {
		endpoints = append(endpoints, s.operationEndpoints(o)...)
	}
	return endpoints
}
