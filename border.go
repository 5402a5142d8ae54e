package parley

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

// answer is the border between the wire and a call's handler.
func (s *Service) answer(r *answering) func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
	return func(ctx context.Context, e *transport.Envelope) (_ *transport.Envelope, err error) {
		h := &handling{Envelope: e}
		ctx, end := s.client.telemetry.Answer(ctx, e)
		defer func() {
			if p := recover(); p != nil {
				s.client.log.Error("parley: the handler of a call panicked", "service", s.client.name, "address", r.address,
					"message_id", e.ID, "panic", p, "stack", string(debug.Stack()))
				err = &Error{Code: Internal, Message: failedHere}
			}
			if err != nil {
				s.undo(ctx, h)
			}
			end(err)
		}()
		body, err := r.run(withMessage(ctx, h), e.Body)
		if err != nil {
			answered, hidden := answerError(ctx, err)
			if hidden {
				s.client.log.Error("parley: a call failed", "service", s.client.name, "address", r.address, "message_id", e.ID, "err", err)
			}
			return nil, answered
		}
		return &transport.Envelope{ContentType: contentJSON, Body: body}, nil // the caller knows the rest
	}
}

// undo does what a handler that failed has declared with [Undo]; what goes wrong is only logged.
func (s *Service) undo(ctx context.Context, h *handling) {
	if err := h.undos.run(ctx); err != nil {
		s.client.log.Error("parley: what a failed handler did could not be undone", "service", s.client.name, "address", h.Address, "message_id", h.ID, "err", err)
	}
}

// errPanicked is how a handler of messages ends that does not return; delivery deals with the panic.
var errPanicked = errors.New("the handler panicked")

// subscription is what delivery needs to know of a registration.
func (s *Service) subscription(r *receiving) delivery.Subscription {
	return delivery.Subscription{
		Channel: r.channel, Group: r.group, Service: s.client.name, Style: string(r.style), From: r.from,
		Concurrency: r.concurrency, Timeout: r.timeout, Retries: r.retries, Wants: r.wants,
		StopKey: r.stopKey, NoKillSwitch: r.noKillSwitch, Changed: s.changed,
		Handle: func(ctx context.Context, e *transport.Envelope) error {
			if f := s.client.net.Faults; f != nil {
				if err := f.HandleError(s.client.name, r.address); err != nil {
					return err
				}
			}
			h := &handling{Envelope: e, sent: sent{receiver: cmp.Or(r.group, r.address)}}
			ctx, end := s.client.telemetry.Process(ctx, e, h.receiver)
			err := errPanicked
			defer func() {
				if err != nil {
					s.undo(ctx, h)
				}
				end(err)
			}()
			err = r.run(withMessage(ctx, h), e)
			return err
		},
	}
}
