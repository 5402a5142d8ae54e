package parley

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// owning is an operation with its code.
type owning struct {
	*contract
	defined  string
	problems []string         // told by register
	codes    []operation.Code // the newest first
}

func (o *owning) register(s *Service) error {
	if len(o.problems) > 0 {
		return fmt.Errorf("%s, at %s: %s", o.address, o.defined, strings.Join(o.problems, "; "))
	}
	for _, other := range s.owns {
		if other.address == o.address {
			return fmt.Errorf("%s is handled twice: at %s and at %s", o.address, other.defined, o.defined)
		}
	}
	s.owns = append(s.owns, o)
	return nil
}

// OwnerGroup is the group under which the owner of an operation is registered with its address, so that others know of
// the operation while the owner is away.
const OwnerGroup = "owner"

const (
	longestPoll  = 30 * time.Second       // what may be waited for in one request
	answerMargin = 500 * time.Millisecond // of a wait before the caller's deadline, for the answer to arrive
)

// newEngine makes what runs the service's operations, and what empties their queues into it.
func (s *Service) newEngine() error {
	if len(s.owns) == 0 {
		return nil
	}
	if s.client.net.Journal == nil {
		return fmt.Errorf("%s is an operation, and the network %s has no journal to keep it in", s.owns[0].address, s.client.net.Name)
	}
	var codes []operation.Code
	for _, o := range s.owns {
		for _, c := range o.codes {
			c.Address, c.Timeout = o.address, o.timeout
			codes = append(codes, c)
		}
	}
	var err error
	s.engine, err = operation.New(codes, operation.Options{
		Worker: s.client.name, Service: s.client.name, Recorder: s.client.recorder, Log: s.client.log, Strict: s.strict,
		Enter: s.enter,
	})
	if err != nil || s.client.broker == nil {
		return err
	}
	var errs []error
	for _, o := range s.owns {
		// What the queue delivers the engine records, under the same ids: it is the operation that is done, not its request.
		c, err := delivery.New(s.client.broker, ledger.Discard, delivery.Subscription{
			Channel: o.channel, Service: s.client.name, Style: string(StyleOperation), Retries: queueRetries, Handle: s.taking(o),
			NoKillSwitch: true, // its retries take hours, and a journal that is away comes back to all of its requests
		})
		errs = append(errs, err)
		s.intakes = append(s.intakes, c)
	}
	return errors.Join(errs...)
}

// queueRetries give a journal that cannot be written, and a signal that comes before its operation, some hours.
var queueRetries = delivery.Retries{Set: true, Immediate: 2, Delays: []time.Duration{
	time.Second, 5 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour,
}}

// own runs the engine; ready is called when operations are taken.
func (s *Service) own(stop context.Context, ready func()) error {
	var refused error
	ctx, cancel := context.WithCancel(stop)
	defer cancel()
	err := s.engine.Run(ctx, func(ctx context.Context) (operation.Journal, error) {
		return s.client.net.Journal(ctx, s.client.name)
	}, func(lease operation.Lease) {
		if refused = s.sameJournal(lease); refused != nil {
			cancel()
			return
		}
		s.journal.Store(&lease.Journal)
		for _, o := range s.owns {
			s.announceOwner(ctx, o)
		}
		ready()
	})
	if stop.Err() != nil && errors.Is(err, context.Canceled) { // told to stop while it began
		err = nil
	}
	return errors.Join(refused, err)
}

// sameJournal refuses a second journal for the operations of one owner: each would hold a part of them.
func (s *Service) sameJournal(lease operation.Lease) error {
	if s.client.net.Directory == nil {
		return nil
	}
	for _, i := range s.client.net.Directory.Instances() {
		if i.Service == s.client.name && i.ID != s.client.instance && i.Journal != "" && i.Journal != lease.Journal {
			return fmt.Errorf("the running instance %s keeps the operations of %s in another journal: all instances of an owner must share one; stop the other, or give both the same journal", i.ID, s.client.name)
		}
	}
	return nil
}

func (s *Service) announceOwner(ctx context.Context, o *owning) {
	if d := s.client.net.Directory; d != nil {
		if err := d.Register(ctx, o.address, OwnerGroup); err != nil && ctx.Err() == nil {
			s.client.log.Warn("parley: an operation could not be registered; command lines will not know it while its owner is away", "address", o.address, "err", err)
		}
	}
}

// taking is the handler of an operation's queue.
func (s *Service) taking(o *owning) func(context.Context, *transport.Envelope) error {
	return func(ctx context.Context, e *transport.Envelope) error {
		var err error
		if action := e.Headers[actionHeader]; action != "" {
			_, err = s.act(ctx, o, e)
			if action == doSignal && CodeOf(err) == FailedPrecondition { // it came too late, and nobody waits for the answer
				s.client.log.Info("parley: a signal came after the end of its operation", "service", s.client.name, "address", o.address, "message_id", e.ID, "source", e.Source, "err", err)
				return nil
			}
		} else {
			var invalid *Error
			if fields := o.in.check(e.Body); len(fields) > 0 {
				invalid = &Error{Code: InvalidArgument, Message: "the request does not fit the contract", Fields: fields}
			}
			_, _, err = s.engine.Accept(ctx, requestOf(o, e, invalid))
		}
		switch CodeOf(err) {
		case AlreadyExists, InvalidArgument, FailedPrecondition:
			return Permanent(err)
		}
		return err
	}
}

func requestOf(o *owning, e *transport.Envelope, invalid *Error) operation.Request {
	return operation.Request{
		ID: e.ID, Address: o.address, Input: canonical(e.Body), Invalid: invalid,
		Source: e.Source, Key: e.Key, Correlation: e.Correlation, Causation: e.Causation, Trace: e.Trace,
	}
}

// canonical is JSON in one form, so that the same request written otherwise is the same request.
func canonical(body []byte) []byte {
	v := jsontext.Value(slices.Clone(body))
	if v.Compact(jsontext.ReorderRawObjects(true)) != nil {
		return body // no JSON
	}
	return v
}

// signalFits checks that the operation has such a signal, and its payload.
func (o *owning) signalFits(name string, body []byte) error {
	var names []string
	for _, s := range o.signals {
		if s.name == name {
			return s.fits(o.contract, body)
		}
		names = append(names, s.name)
	}
	message := fmt.Sprintf("no signal %q; ", name)
	if len(names) == 0 {
		message += "it has none"
	} else {
		message += "there is " + strings.Join(names, ", ")
	}
	return &Error{Code: InvalidArgument, Address: o.address, NotSent: true, Message: message}
}

// operationEndpoints are what an owner answers: the address itself starts, beside it are the resource of one operation
// and the list of all.
func (s *Service) operationEndpoints(o *owning) []transport.Endpoint {
	path := "/" + strings.ReplaceAll(o.address, ".", "/")
	return []transport.Endpoint{
		{Address: o.address, Answer: s.admission.Wrap(s.observed(s.answerStart(o, path)))},
		{Address: getAddress(o.address), Method: "GET", Path: path + "/{id}", Bind: bindStatus, Answer: s.answerStatus(o)},
		{Address: listAddress(o.address), Method: "GET", Path: path, Bind: bindList, Answer: s.answerList(o)},
		{Address: actAddress(o.address), Method: "POST", Path: path + "/{id}", Bind: bindAction, Answer: s.admission.Wrap(s.observed(s.answerAction(o, path)))},
	}
}

// observed is answer with a span.
func (s *Service) observed(answer func(context.Context, *transport.Envelope) (*transport.Envelope, error)) func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
	return func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		ctx, end := s.client.telemetry.Answer(ctx, e)
		a, err := answer(ctx, e)
		end(err)
		return a, err
	}
}

// answerStart accepts: 202 with the operation and where to look for it, also when it exists or has ended already.
func (s *Service) answerStart(o *owning, path string) func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
	return func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		if fields := o.in.check(e.Body); len(fields) > 0 {
			return nil, &Error{Code: InvalidArgument, NotSent: true, Message: "the body does not fit the contract", Fields: fields}
		}
		snapshot, _, err := s.engine.Accept(ctx, requestOf(o, e, nil))
		if err != nil {
			return nil, err
		}
		reply := transport.Reply{Status: 202, Location: path + "/" + url.PathEscape(snapshot.ID), RetryAfter: time.Second}
		if wait, ok := transport.PreferredWait(e, longestPoll); ok && !snapshot.Status.Done() {
			if now, err := s.watch(ctx, o, snapshot.ID, -1, wait); err == nil { // else it is accepted all the same
				snapshot = now
			}
			reply.Applied = transport.AppliedWait(wait)
		}
		if snapshot.Status.Done() {
			reply.RetryAfter = 0
		}
		return answerJSON(statusOf(snapshot, o.phases), reply)
	}
}

// answerStatus shows one operation; it may wait for a change or for the end.
func (s *Service) answerStatus(o *owning) func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
	return func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		var r statusRequest
		if err := decodeJSON(e.Body, &r); err != nil {
			return nil, err
		}
		since, wait := r.Since, min(time.Duration(r.WaitMS)*time.Millisecond, longestPoll)
		var reply transport.Reply
		known, conditional := transport.KnownRevision(e)
		if preferred, ok := transport.PreferredWait(e, longestPoll); ok {
			wait = preferred
			reply.Applied = transport.AppliedWait(wait)
			if since = -1; conditional {
				since = known
			}
		}
		snapshot, err := s.watch(ctx, o, string(r.ID), since, wait)
		if err != nil {
			return nil, err
		}
		reply.ETag = strconv.FormatInt(snapshot.Revision, 10)
		if !snapshot.Status.Done() {
			reply.RetryAfter = time.Second
		}
		if conditional && snapshot.Revision == known {
			reply.Status = 304
			answer := &transport.Envelope{}
			reply.Set(answer)
			return answer, nil
		}
		return answerJSON(statusOf(snapshot, o.phases), reply)
	}
}

// watch is the operation at once, or when it changed or ended.
func (s *Service) watch(ctx context.Context, o *owning, id string, since int64, wait time.Duration) (operation.Snapshot, error) {
	if wait <= 0 {
		return s.engine.Get(ctx, o.address, id)
	}
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, max(time.Until(end)-answerMargin, 0))
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return s.engine.Wait(ctx, o.address, id, since)
}

// operationList is a page of an owner's operations.
type operationList struct {
	Operations []OperationStatus `json:"operations"`    // without their steps, the newest first
	Next       string            `json:"next,omitzero"` // the page after this one; "" = none
}

// listRequest asks for a page.
type listRequest struct {
	Status  string `json:"status,omitzero"` // one or several with commas between; "open" = all that are not Done
	Version int    `json:"version,omitzero"`
	Limit   int    `json:"limit,omitzero"` // 1 to 1000; 0 = 100
	Page    string `json:"page,omitzero"`  // operationList.Next
}

func (s *Service) answerList(o *owning) func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
	return func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		var r listRequest
		if err := decodeJSON(e.Body, &r); err != nil {
			return nil, err
		}
		f, err := r.filter(o.address)
		if err != nil {
			return nil, err
		}
		records, err := s.engine.List(ctx, f)
		if err != nil {
			return nil, err
		}
		page := operationList{Operations: []OperationStatus{}}
		for _, r := range records {
			page.Operations = append(page.Operations, statusOf(operation.Snapshot{Stored: operation.Stored{Record: r}}, nil))
		}
		if len(records) == f.Limit {
			page.Next = pageAfter(records[len(records)-1])
		}
		return answerJSON(page, transport.Reply{})
	}
}

// answerAction signals, cancels or sets going again.
func (s *Service) answerAction(o *owning, path string) func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
	return func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		snapshot, err := s.act(ctx, o, e)
		if err != nil {
			return nil, err
		}
		return answerJSON(statusOf(snapshot, o.phases), transport.Reply{Status: 202, Location: path + "/" + url.PathEscape(snapshot.ID)})
	}
}

// act does what the action in e says, whichever way it came.
func (s *Service) act(ctx context.Context, o *owning, e *transport.Envelope) (operation.Snapshot, error) {
	var a operationAction
	if err := decodeJSON(e.Body, &a); err != nil {
		return operation.Snapshot{}, err
	}
	switch a.Do {
	case doSignal:
		if err := o.signalFits(a.Name, a.Body); err != nil {
			return operation.Snapshot{}, err
		}
		return s.engine.Signal(ctx, o.address, string(a.ID), operation.Signal{ID: e.ID, Name: a.Name, Body: a.Body, Source: e.Source})
	case doCancel:
		return s.engine.Cancel(ctx, o.address, string(a.ID), a.Reason)
	case doRetry:
		return s.engine.Retry(ctx, o.address, string(a.ID))
	}
	return operation.Snapshot{}, &Error{Code: InvalidArgument, Address: o.address, NotSent: true,
		Message: fmt.Sprintf("no action %q: POST …/ID:signal?name=NAME, …/ID:cancel or …/ID:retry", a.Do)}
}

// describeOperation adds what only operations have.
func (o *owning) describeOperation() ContractDescription {
	d := o.describe("")
	for _, c := range o.codes {
		d.Versions = append(d.Versions, c.Version)
	}
	slices.Sort(d.Versions)
	return d
}
