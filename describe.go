package parley

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/policy"
	"github.com/parley-io/parley/transport"
)

// Description is what a running service tells about itself: GET /v1/services/NAME at its peer. Operators' tools read it.
type Description struct {
	Service       string                 `json:"service"`
	Instance      string                 `json:"instance"`
	Network       string                 `json:"network"`
	Contracts     []ContractDescription  `json:"contracts"`
	Subscriptions []delivery.Status      `json:"subscriptions"`
	Breakers      []policy.BreakerStatus `json:"breakers"`
}

// ContractDescription is one contract that a service handles, or an event that it announces.
type ContractDescription struct {
	Address    string         `json:"address"`
	Style      Style          `json:"style"`
	Group      string         `json:"group,omitzero"`   // of a subscription; "" for an event that is only announced
	Pattern    string         `json:"pattern,omitzero"` // of a message: "queue", "topic", "stream"
	Partitions int            `json:"partitions,omitzero"`
	LifetimeMS int64          `json:"lifetime_ms,omitzero"`
	RetainMS   int64          `json:"retain_ms,omitzero"`
	RetainSize int64          `json:"retain_bytes,omitzero"`
	Idempotent bool           `json:"idempotent,omitzero"`
	Method     string         `json:"method,omitzero"` // of a REST binding
	Path       string         `json:"path,omitzero"`
	Request    jsontext.Value `json:"request"`         // JSON Schema of the payload
	Answer     jsontext.Value `json:"answer,omitzero"` // JSON Schema, of a call or operation

	// Of an operation: the versions of its code that are there, its signals, and the phases that its contract names.
	Versions []int               `json:"versions,omitzero"`
	Signals  []SignalDescription `json:"signals,omitzero"`
	Phases   []string            `json:"phases,omitzero"`
}

// SignalDescription is one signal of an operation.
type SignalDescription struct {
	Name    string         `json:"name"`
	Payload jsontext.Value `json:"payload"` // JSON Schema
}

// DescribeAddress is the address under which a running service answers its [Description].
func DescribeAddress(service string) string { return "parley.v1.describe." + service }

// Describe is the service as it is now.
func (s *Service) Describe() Description {
	d := Description{
		Service: s.client.name, Instance: s.client.instance, Network: s.client.net.Name,
		Contracts: []ContractDescription{}, Subscriptions: []delivery.Status{}, Breakers: s.client.Breakers(),
	}
	for _, r := range s.answers {
		d.Contracts = append(d.Contracts, r.describe(""))
	}
	for _, o := range s.owns {
		d.Contracts = append(d.Contracts, o.describeOperation())
	}
	for i, r := range s.receives {
		d.Contracts = append(d.Contracts, r.describe(r.group))
		d.Subscriptions = append(d.Subscriptions, s.consumers[i].Status())
	}
	for _, c := range s.events() {
		d.Contracts = append(d.Contracts, c.describe(""))
	}
	return d
}

func (c *contract) describe(group string) ContractDescription {
	d := ContractDescription{
		Address: c.address, Style: c.style, Group: group, LifetimeMS: c.lifetime.Milliseconds(), Idempotent: c.idempotent,
		Method: c.method, Path: c.path, Request: c.in.doc,
	}
	if c.out != nil {
		d.Answer = c.out.doc
	}
	for _, signal := range c.signals {
		d.Signals = append(d.Signals, SignalDescription{signal.name, signal.in.doc})
	}
	if d.Phases = c.phases; c.style == StyleCall {
		return d
	}
	d.Pattern, d.Partitions = c.channel.Pattern.String(), c.channel.Partitions
	d.RetainMS, d.RetainSize = c.channel.Retain.Milliseconds(), c.channel.RetainBytes
	return d
}

func (s *Service) describeEndpoint() transport.Endpoint {
	return transport.Endpoint{
		Address: DescribeAddress(s.client.name), Method: "GET", Path: "/v1/services/" + s.client.name,
		Answer: func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
			body, err := encode(s.Describe())
			if err != nil {
				return nil, err
			}
			return &transport.Envelope{ContentType: contentJSON, Body: body}, nil
		},
	}
}
