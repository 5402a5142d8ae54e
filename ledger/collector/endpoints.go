package collector

import (
	"context"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/transport"
)

// The addresses at which a collector answers.
const (
	FollowAddress     = "parley.v1.follow"
	FailedAddress     = "parley.v1.failed"
	ShowAddress       = "parley.v1.failed-show"
	RedriveAddress    = "parley.v1.redrive"
	RedriveJobAddress = "parley.v1.redrive-job"
	StatsAddress      = "parley.v1.stats"
)

// Endpoints are what the collector answers, to be served by a transport.Caller while Run runs.
func (c *Collector) Endpoints() []transport.Endpoint {
	return []transport.Endpoint{
		endpoint(FollowAddress, "GET /v1/messages/{id}", c.Follow, fields{"id": text, "wait": text, "since": number}),
		endpoint(FailedAddress, "GET /v1/failed", c.Failed, fields{"address": text, "group": text, "all": truth, "ids": number}),
		endpoint(ShowAddress, "GET /v1/failed/{id}", c.Show, fields{"id": text}),
		endpoint(RedriveAddress, "POST /v1/redrives", c.Redrive, fields{}),
		endpoint(RedriveJobAddress, "GET /v1/redrives/{job}", c.Job, fields{"job": text, "wait": text}),
		endpoint(StatsAddress, "GET /v1/stats", c.Stats, fields{}),
	}
}

// fields are what a request takes from path and query.
type fields map[string]kind

type kind uint8

const (
	text kind = iota
	number
	truth
)

// endpoint serves answer with requests and answers in JSON.
func endpoint[Q, A any](address, route string, answer func(context.Context, Q) (A, error), f fields) transport.Endpoint {
	var method, path string
	if _, err := fmt.Sscan(route, &method, &path); err != nil {
		panic("collector: route " + route + ": " + err.Error())
	}
	return transport.Endpoint{
		Address: address, Method: method, Path: path, Bind: f.bind,
		Answer: func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			var request Q
			if len(e.Body) > 0 {
				if err := json.Unmarshal(e.Body, &request, json.RejectUnknownMembers(true)); err != nil {
					return nil, &transport.Error{Code: transport.InvalidArgument, Message: err.Error(), Cause: err}
				}
			}
			a, err := answer(ctx, request)
			if err != nil {
				return nil, err
			}
			body, err := json.Marshal(a)
			if err != nil {
				return nil, fmt.Errorf("collector: answer of %s: %w", address, err)
			}
			return &transport.Envelope{ID: e.ID, Address: address, ContentType: "application/json", Body: body}, nil
		},
	}
}

// bind puts what a route found in path and query into the body.
func (f fields) bind(body []byte, values map[string][]string) ([]byte, error) {
	if len(values) == 0 {
		return body, nil
	}
	request := make(map[string]any)
	if len(body) > 0 {
		if err := json.Unmarshal(body, &request); err != nil {
			return nil, &transport.Error{Code: transport.InvalidArgument, Message: err.Error(), Cause: err}
		}
	}
	for name, all := range values {
		is, ok := f[name]
		if !ok || len(all) != 1 {
			return nil, invalid(name, fmt.Sprintf("got %q in path and query, want one value of a field that this request has", all))
		}
		var err error
		switch is {
		case text:
			request[name] = all[0]
		case number:
			request[name], err = strconv.ParseUint(all[0], 10, 53)
		case truth:
			request[name], err = strconv.ParseBool(all[0])
		}
		if err != nil {
			return nil, invalid(name, fmt.Sprintf("got %q, want a number, or true or false", all[0]))
		}
	}
	return json.Marshal(request, json.Deterministic(true))
}
