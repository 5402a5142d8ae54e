package parley

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/operation"
)

// Execution is one operation, running or over: a handle that can be made anywhere from its id, see
// [Operation.Execution].
type Execution[O any] struct {
	ID MessageID `json:"id"`

	contract *contract
}

// Wait waits for the result, for as long as ctx allows. The operation's failure is an [*Error], a declared one matches
// with errors.Is; a canceled operation is [ErrCanceled]. While the owner is away, or has not yet taken the request from its
// queue, Wait waits; an id of which nobody knows for 20 s is NotFound. Giving up changes nothing for the operation.
func (x Execution[O]) Wait(ctx context.Context, client *Client) (O, error) {
	if err := x.contract.ready(); err != nil {
		return *new(O), err
	}
	if run, ok := operation.RunFrom(ctx); ok {
		task := operation.Task{Name: x.contract.address + ".wait", Numbered: true, Kind: operation.KindOperation, Silent: true}
		var unknown time.Time // since when nobody knows the id
		return stepped(ctx, run, task, func(ctx context.Context) (O, error) { return x.poll(ctx, client, &unknown) })
	}
	s, err := client.await(ctx, x.contract, x.ID)
	if err != nil {
		return *new(O), err
	}
	return resultOf[O](s)
}

// poll is Wait as a step: it asks for a second, and then again later, so that a long wait costs nothing.
func (x Execution[O]) poll(ctx context.Context, client *Client, unknown *time.Time) (out O, err error) {
	s, err := client.status(ctx, x.contract, x.ID, -1, time.Second)
	if CodeOf(err) != NotFound {
		*unknown = time.Time{}
	} else if unknown.IsZero() {
		*unknown = time.Now()
	}
	switch {
	case CodeOf(err) == NotFound && client.underWay(ctx, x.ID):
		return out, operation.Again(5 * time.Second) // in its owner's queue
	case CodeOf(err) == NotFound && time.Since(*unknown) > unknownFor:
		return out, operation.Final(err)
	case CodeOf(err) == NotFound:
		return out, operation.Again(absent) // short enough to stay in memory
	case err != nil:
		return out, err
	case !s.Done:
		return out, operation.Again(min(max(time.Since(s.Created)/4, time.Second), 30*time.Second))
	}
	out, err = resultOf[O](s)
	if err != nil {
		err = operation.Final(err) // its own end, not that of the question
	}
	return out, err
}

// Status is the operation as it is now. Unavailable: its owner can't be reached. It is no step in the code of another
// operation, and nor is Watch: wrap them in [Step] there, because they answer otherwise each time.
func (x Execution[O]) Status(ctx context.Context, client *Client) (OperationStatus, error) {
	return client.status(ctx, x.contract, x.ID, 0, 0)
}

// Watch is the operation once it is Done or its Revision is another than since, or after 20 s as it is: the way to show
// progress as it happens.
func (x Execution[O]) Watch(ctx context.Context, client *Client, since int64) (OperationStatus, error) {
	return client.status(ctx, x.contract, x.ID, since, statusPoll)
}

// Retry sets a Parked operation going again, after what parked it was mended. FailedPrecondition: it is not Parked.
func (x Execution[O]) Retry(ctx context.Context, client *Client) error {
	return x.tell(ctx, client, operationAction{Do: doRetry, ID: x.ID})
}

// Cancel asks for the operation to be canceled: no step begins any more, what was done is undone, and it is Canceled. It
// returns when the wish is durable, at the owner or in its queue. An operation that has ended stays as it is.
func (x Execution[O]) Cancel(ctx context.Context, client *Client, reason string) error {
	return x.tell(ctx, client, operationAction{Do: doCancel, ID: x.ID, Reason: reason})
}

// tell does something to the operation; in the code of another one it is a step.
func (x Execution[O]) tell(ctx context.Context, client *Client, a operationAction) error {
	if err := x.contract.ready(); err != nil {
		return err
	}
	if run, ok := operation.RunFrom(ctx); ok {
		_, err := verb(ctx, run, x.contract, func(ctx context.Context, id MessageCallOption) (MessageID, error) {
			return client.raise(ctx, x.contract, a, []RequestOption{id})
		})
		return err
	}
	_, err := client.raise(ctx, x.contract, a, nil)
	return err
}

// resultOf is what a finished operation answers.
func resultOf[O any](s OperationStatus) (O, error) {
	var out O
	if err := s.Err(); err != nil {
		return out, err
	}
	if err := json.Unmarshal(s.Result, &out); err != nil {
		return out, &Error{Code: Internal, Address: s.Name, ID: string(s.ID), Message: "the result does not fit the contract", Fields: []Field{jsonField(err)}}
	}
	return out, nil
}

const (
	statusPoll = 20 * time.Second       // how long one question waits at the owner
	unknownFor = 20 * time.Second       // how long an id may be unknown to everybody
	absent     = 250 * time.Millisecond // the pause before an owner that is away is looked for again
)

// await asks for a status until it is Done, over restarts of the owner and while the request is in its queue.
func (c *Client) await(ctx context.Context, k *contract, id MessageID) (OperationStatus, error) {
	if err := k.ready(); err != nil {
		return OperationStatus{}, err
	}
	var last OperationStatus
	var unknown time.Time // since when nobody knows the id
	for {
		asked := time.Now()
		s, err := c.status(ctx, k, id, -1, statusPoll)
		switch code := CodeOf(err); {
		case err == nil && s.Done:
			return s, nil
		case err == nil:
			last, unknown = s, time.Time{}
			if time.Since(asked) >= absent {
				continue
			}
		case ctx.Err() != nil:
			return last, gaveUp(ctx, k, id, last)
		case code == NotFound:
			if unknown.IsZero() {
				unknown = time.Now()
			}
			if time.Since(unknown) > unknownFor && !c.underWay(ctx, id) {
				return last, err
			}
		case code != Unavailable && code != DeadlineExceeded && code != ResourceExhausted && code != Unimplemented:
			return last, err
		}
		wait(ctx, absent)
		if ctx.Err() != nil {
			return last, gaveUp(ctx, k, id, last)
		}
	}
}

// gaveUp is the error of a wait that has no more time.
func gaveUp(ctx context.Context, k *contract, id MessageID, last OperationStatus) error {
	e := &Error{Code: DeadlineExceeded, Address: k.address, ID: string(id), Cause: context.Cause(ctx), Message: "has not ended in time; it goes on: wait for its id again"}
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Code, e.Message = Canceled, "the wait was given up; the operation goes on"
	}
	if last.ID == "" {
		e.Message += "; its owner was not reached"
	} else {
		e.Message += fmt.Sprintf("; it was %s", last.Status)
	}
	return e
}

// underWay reports whether the ledger knows that an operation was asked for and not begun: it is in its owner's queue.
func (c *Client) underWay(ctx context.Context, id MessageID) bool {
	trail, err := c.Follow(ctx, id)
	if err != nil {
		return false
	}
	for _, h := range trail.Hops {
		if h.ID == string(id) && h.Style == ledger.StyleOperation {
			return !h.Accepted.IsZero() && !h.Settled()
		}
	}
	return false
}
