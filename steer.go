package parley

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

// Pause starts no more handlers of a command (group "") or of an event for a group, in this instance of the service, and
// fetches no more of its messages, until Resume. reason is for people. Nothing is disconnected, and other instances go
// on; so partitions that this one owns wait.
func (s *Service) Pause(address, group, reason string) error {
	c, err := s.consumer(address, group)
	if err == nil {
		c.Pause(reason)
	}
	return err
}

// Resume ends a pause, also one of the kill switch; without one it does nothing.
func (s *Service) Resume(address, group string) error {
	c, err := s.consumer(address, group)
	if err == nil {
		c.Resume()
	}
	return err
}

// SetConcurrency is [Concurrency] changed while the service runs, in this instance and until it ends.
func (s *Service) SetConcurrency(address, group string, n int) error {
	c, err := s.consumer(address, group)
	if err != nil {
		return err
	}
	return c.SetConcurrency(n)
}

// consumer is that of a command or subscription.
func (s *Service) consumer(address, group string) (*delivery.Consumer, error) {
	for i, r := range s.receives {
		if r.address == address && r.group == group {
			return s.consumers[i], nil
		}
	}
	return nil, &Error{Code: NotFound, Message: fmt.Sprintf("service %s does not receive %s%s", s.client.name, address, forGroup(group))}
}

// Steering changes how a running instance receives a command or event.
type Steering struct {
	Address     string  `json:"address"`
	Group       string  `json:"group,omitzero"` // "" = a command
	Do          SteerDo `json:"do"`
	Reason      string  `json:"reason,omitzero"`      // for people, of SteerPause
	Concurrency int     `json:"concurrency,omitzero"` // of SteerConcurrency
}

// SteerDo is what a [Steering] does.
type SteerDo string

const (
	SteerPause       SteerDo = "pause"       // [Service.Pause]
	SteerResume      SteerDo = "resume"      // [Service.Resume]
	SteerConcurrency SteerDo = "concurrency" // [Service.SetConcurrency]
)

// SteerAddress is the address under which a running service takes a [Steering]: POST /v1/services/NAME/steer at its peer.
func SteerAddress(service string) string { return "parley.v1.steer." + service }

// SteerInstance changes how one running instance receives, and answers how it then does. Each instance of a service is
// steered by itself, and what is changed ends with it.
func SteerInstance(ctx context.Context, client *Client, i Instance, what Steering) (delivery.Status, error) {
	var status delivery.Status
	body, err := encode(what)
	if err != nil {
		return status, err
	}
	err = askInstance(ctx, client, i, SteerAddress(i.Service), body, &status)
	return status, err
}

// askInstance asks one instance for something that every service answers.
func askInstance(ctx context.Context, client *Client, i Instance, address string, body []byte, into any) error {
	if client.net.Calls == nil {
		return &Error{Code: Unavailable, NotSent: true, Message: "the network " + client.net.Name + " has no calls"}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	e := newEnvelope(ctx, address, client.name, body)
	answer, err := client.net.Calls.Request(ctx, i.Peer, e)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return &Error{Code: Internal, Address: e.Address, Peer: i.Peer, Message: "its answer can't be read", Cause: err}
	}
	return nil
}

func (s *Service) steerEndpoint() transport.Endpoint {
	return transport.Endpoint{
		Address: SteerAddress(s.client.name), Method: "POST", Path: "/v1/services/" + s.client.name + "/steer",
		Answer: func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			var what Steering
			if err := json.Unmarshal(e.Body, &what); err != nil {
				return nil, &Error{Code: InvalidArgument, Message: err.Error(), Cause: err}
			}
			status, err := s.steer(what)
			if err != nil {
				return nil, err
			}
			body, err := encode(status)
			if err != nil {
				return nil, err
			}
			return &transport.Envelope{ContentType: contentJSON, Body: body}, nil
		},
	}
}

func (s *Service) steer(what Steering) (delivery.Status, error) {
	c, err := s.consumer(what.Address, what.Group)
	if err != nil {
		return delivery.Status{}, err
	}
	switch what.Do {
	case SteerPause:
		c.Pause(what.Reason)
	case SteerResume:
		c.Resume()
	case SteerConcurrency:
		if err := c.SetConcurrency(what.Concurrency); err != nil {
			return delivery.Status{}, &Error{Code: InvalidArgument, Message: err.Error()}
		}
	default:
		return delivery.Status{}, &Error{Code: InvalidArgument, Message: fmt.Sprintf("do %q: want %s, %s or %s", what.Do, SteerPause, SteerResume, SteerConcurrency)}
	}
	return c.Status(), nil
}

// changed is called by a consumer whose flow has changed, under its lock.
func (s *Service) changed() {
	select {
	case s.flow <- struct{}{}:
	default:
	}
}

// logFlow tells of pauses and their ends until ctx is done.
func (s *Service) logFlow(ctx context.Context) {
	was := make([]delivery.Status, len(s.consumers))
	for {
		select {
		case <-s.flow:
		case <-ctx.Done():
			return
		}
		for i, c := range s.consumers {
			is := c.Status()
			log := s.client.log.With("service", s.client.name, "address", is.Address, "receiver", is.Receiver)
			switch {
			case is.Paused && is.Because != was[i].Because:
				log.Warn("parley: a subscription is paused", "because", is.Because)
			case was[i].Paused && !is.Paused:
				log.Info("parley: a subscription goes on")
			}
			was[i] = is
		}
	}
}
