package parley

import (
	"context"
	"log/slog"
	"strings"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/telemetry"
	"github.com/parley-io/parley/transport"
)

// LogHandler is next with the ids of what a record's context handles: trace_id and span_id where there is a span,
// message_id, correlation_id, and in the code of an operation and its steps operation_id. They are at the top level
// of every record. Safe for concurrent use if next is.
func LogHandler(next slog.Handler) slog.Handler { return telemetry.LogHandler(next, idsOf) }

// idsOf is what a context handles.
func idsOf(ctx context.Context) []slog.Attr {
	h, ok := ctx.Value(messageKey{}).(*handling)
	if !ok {
		return nil
	}
	ids := []slog.Attr{slog.String("message_id", h.ID), slog.String("correlation_id", story(h.Envelope))}
	if run, ok := operation.RunFrom(ctx); ok {
		return append(ids, slog.String("operation_id", run.Record().ID))
	}
	if step, ok := operation.StepFrom(ctx); ok {
		return append(ids, slog.String("operation_id", step.Operation.ID), slog.String("step", step.Key))
	}
	return ids
}

// observe makes a client's telemetry, and puts it around what the client talks through.
func (c *Client) observe() error {
	var err error
	if c.telemetry, err = telemetry.New(c.net.Telemetry, c.name, brokerOf(c.net.Name)); err != nil || c.telemetry == nil {
		return err
	}
	c.recorder = c.telemetry.Recorder(c.recorder)
	c.caller = c.telemetry.Caller(c.caller)
	return nil
}

// brokerOf is the kind of broker of a network, in the words of the semantic conventions; "" = none of theirs.
func brokerOf(network string) string {
	scheme, _, _ := strings.Cut(network, "://")
	switch scheme {
	case "embedded", "nats":
		return "nats"
	case "amqp", "amqps":
		return "rabbitmq"
	case "kafka":
		return "kafka"
	}
	return ""
}

// breakerStates are the breakers for the gauge.
func (c *Client) breakerStates() []telemetry.BreakerState {
	var all []telemetry.BreakerState
	for _, b := range c.Breakers() {
		all = append(all, telemetry.BreakerState{Service: b.Service, State: string(b.State)})
	}
	return all
}

// subscriptionStates are the subscriptions for the gauge.
func (s *Service) subscriptionStates() []telemetry.SubscriptionState {
	var all []telemetry.SubscriptionState
	for _, c := range s.consumers {
		is := c.Status()
		all = append(all, telemetry.SubscriptionState{Address: is.Address, Receiver: is.Receiver, Paused: is.Paused, StoppedKeys: is.StoppedKeys})
	}
	return all
}

// calling begins the span of a call; end takes its error.
func (c *Client) calling(ctx context.Context, k *contract, e *transport.Envelope) (_ context.Context, end func(error)) {
	parent := e.Trace
	ctx, end = c.telemetry.Call(ctx, e, k.api.name)
	spanned(e, parent)
	return ctx, end
}

// sending begins the spans of a batch; each end takes its receipt's error.
func (c *Client) sending(ctx context.Context, style Style, batch []*transport.Envelope) []func(error) {
	ends := make([]func(error), len(batch))
	for i, e := range batch {
		parent := e.Trace
		_, ends[i] = c.telemetry.Send(ctx, e, string(style))
		spanned(e, parent)
	}
	return ends
}

// spanned makes sure that e has a place of its own in its trace, below parent: also where nobody records spans, the ledger
// and the logs of others know the trace.
func spanned(e *transport.Envelope, parent string) {
	if e.Trace == parent {
		e.Trace = childTrace(parent)
	}
}

// enter gives the code of an operation and the attempts of its steps their place in the story, and their spans.
func (s *Service) enter(ctx context.Context, r *operation.Record, step *operation.Step) (context.Context, func(error)) {
	t := s.client.telemetry
	if step == nil {
		ctx, end := t.Run(withMessage(ctx, ofOperation(r)), r.ID, r.Address, r.Version, r.Trace)
		return ctx, end
	}
	ctx, end := t.Step(withMessage(ctx, ofStep(step)), r.ID, step.Key, step.Attempt, r.Trace)
	return ctx, end
}
