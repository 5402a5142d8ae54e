package node

import (
	"context"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/operation"
)

// Status is an operation as its owner shows it: at once (since 0), or once it is Done or its Revision is another than
// since, or after 20 s as it is; since < 0 waits for Done alone. What its owner does not know, because it is away or has not
// taken the request yet, is shown at once as its trail knows it: NotStarted with Revision 0.
//
// NotFound: neither knows it; Unavailable: it has begun, and its owner can't be asked; FailedPrecondition: the request has
// become a dead letter.
func Status(ctx context.Context, client *parley.Client, x parley.Execution[jsontext.Value], since int64) (parley.OperationStatus, error) {
	ask := x.Status
	if since != 0 {
		ask = func(ctx context.Context, c *parley.Client) (parley.OperationStatus, error) {
			return x.Watch(ctx, c, since)
		}
	}
	s, err := ask(ctx, client)
	if err == nil || ctx.Err() != nil || !ownerless(err) {
		return s, err
	}
	known, unknown := queued(ctx, client, x.ID)
	if parley.CodeOf(err) == parley.NotFound && parley.CodeOf(unknown) == parley.Unavailable {
		return s, err // it was there, and its owner has forgotten it
	}
	return known, unknown
}

// ownerless reports whether the trail may know more of an operation than its owner did.
func ownerless(err error) bool {
	switch parley.CodeOf(err) {
	case parley.NotFound, parley.Unavailable, parley.DeadlineExceeded, parley.ResourceExhausted, parley.Unimplemented:
		return true
	}
	return false
}

// queued is an operation as its trail knows it.
func queued(ctx context.Context, client *parley.Client, id parley.MessageID) (s parley.OperationStatus, err error) {
	trail, err := client.Follow(ctx, id)
	if parley.CodeOf(err) == parley.NotFound {
		return s, &parley.Error{Code: parley.NotFound, ID: string(id), NotSent: true, Message: "no owner that runs and no trail knows an operation of this id"}
	}
	if err != nil {
		return s, err
	}
	for i := range trail.Hops {
		if h := &trail.Hops[i]; h.ID == string(id) && h.Style == ledger.StyleOperation {
			return ofHop(h)
		}
	}
	return s, &parley.Error{Code: parley.NotFound, ID: string(id), NotSent: true, Message: "it is the id of no operation"}
}

func ofHop(h *ledger.Hop) (parley.OperationStatus, error) {
	for _, r := range h.Receivers {
		switch {
		case r.State == ledger.DeadLetter:
			return parley.OperationStatus{}, &parley.Error{Code: parley.FailedPrecondition, Address: h.Address, ID: h.ID,
				Message: "the request did not reach its owner and is a dead letter, to be redriven: " + r.Reason}
		case r.State.Final() || len(r.Attempts) > 0 && r.Of == 0: // attempts of a queue are bounded
			return parley.OperationStatus{}, &parley.Error{Code: parley.Unavailable, Address: h.Address, ID: h.ID, RetryAfter: time.Second,
				Message: "its owner is away; the operation is kept, and goes on when the owner is back"}
		}
	}
	return waiting(h.Address, parley.MessageID(h.ID), h.Source, h.Accepted), nil
}

// waiting is an operation that its owner does not have yet.
func waiting(address string, id parley.MessageID, source string, since time.Time) parley.OperationStatus {
	return parley.OperationStatus{
		ID: id, Name: address, Status: operation.NotStarted, Created: since, Updated: since,
		Metadata: parley.OperationMetadata{
			Steps: []parley.StepStatus{}, Left: []string{}, Source: source,
			Queued: true,
		},
	}
}
