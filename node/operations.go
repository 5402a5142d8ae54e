package node

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport"
)

const (
	operationsPath = "/v1/operations"
	// answerEarly is how long before the asker's deadline a waiting answer is given.
	answerEarly = 200 * time.Millisecond
	// awayPause is how long nobody is asked after an owner was not there.
	awayPause = 250 * time.Millisecond
	// ledgerDelay is how long the ledger may take to know what has just been done.
	ledgerDelay = time.Second
)

// door is where those who have no client start operations and ask for them, also while an owner is away.
type door struct {
	net    *parley.Network
	client *parley.Client
}

// serveOperations answers on n's calls until ctx is done, as the client name; ended is closed after that.
func serveOperations(ctx context.Context, n *parley.Network, name string) (ended <-chan struct{}, err error) {
	client, err := parley.NewClient(name, n)
	if err != nil {
		return nil, err
	}
	d := &door{net: n, client: client}
	serving, over, closed := make(chan struct{}), make(chan error, 1), make(chan struct{})
	go func() { // ends with ctx, and whoever called waits for it
		defer close(closed)
		over <- n.Calls.Answer(ctx, d.endpoints(ctx), func(string) { close(serving) })
	}()
	select {
	case <-serving:
		return closed, nil
	case err := <-over:
		return nil, err
	}
}

// endpoints are answered until life is done, which lets go of whoever waits.
func (d *door) endpoints(life context.Context) []transport.Endpoint {
	type answering = func(context.Context, *transport.Envelope) (*transport.Envelope, error)
	held := func(f func(ctx, life context.Context, e *transport.Envelope) (*transport.Envelope, error)) answering {
		return func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) { return f(ctx, life, e) }
	}
	one := operationsPath + "/{address}"
	return []transport.Endpoint{
		{Address: "parley.v1.operation-start", Method: "POST", Path: one, Bind: bindStart, Answer: held(d.start)},
		{Address: "parley.v1.operation", Method: "GET", Path: one + "/{id}", Bind: bindGet, Answer: held(d.get)},
		{Address: "parley.v1.operation-act", Method: "POST", Path: one + "/{id}", Bind: bindAct, Answer: d.act},
		{Address: "parley.v1.operations", Method: "GET", Path: operationsPath, Bind: bindList, Answer: d.list},
		{Address: keptAddress, Method: "GET", Path: keptPath, Answer: d.kept},
	}
}

// start asks for an operation under the id of the request: at its owner, or through its queue.
func (d *door) start(ctx, life context.Context, e *transport.Envelope) (*transport.Envelope, error) {
	r, remote, err := d.read(ctx, e)
	if err != nil {
		return nil, err
	}
	x, err := remote.Start(ctx, d.client, r.Body, parley.WithID(parley.MessageID(e.ID)))
	if err != nil {
		return nil, err
	}
	reply := transport.Reply{Status: 202, Location: locationOf(r.Address, x.ID)}
	s := waiting(r.Address, x.ID, d.client.Name(), e.Time) // what is certain, whatever can be learned now
	wait, preferred := transport.PreferredWait(e, longestWait)
	if preferred {
		reply.Applied = transport.AppliedWait(wait)
	}
	if wait > 0 || d.ownerRuns(r.Address) {
		if now, err := d.look(ctx, life, remote, x.ID, -1, wait); err == nil {
			s = now
		}
	}
	return answerStatus(s, reply)
}

// get shows an operation; it may wait for another revision or for the end.
func (d *door) get(ctx, life context.Context, e *transport.Envelope) (*transport.Envelope, error) {
	r, remote, err := d.read(ctx, e)
	if err != nil {
		return nil, err
	}
	var reply transport.Reply
	wait, preferred := transport.PreferredWait(e, longestWait)
	if preferred {
		reply.Applied = transport.AppliedWait(wait)
	}
	since, conditional := transport.KnownRevision(e)
	s, err := d.look(ctx, life, remote, r.ID, since, wait)
	if err != nil {
		return nil, err
	}
	reply.ETag = strconv.FormatInt(s.Revision, 10)
	if conditional && s.Revision == since {
		reply.Status = 304
		return empty(reply), nil
	}
	return answerStatus(s, reply)
}

// act signals, cancels or sets going again.
func (d *door) act(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
	r, remote, err := d.read(ctx, e)
	if err != nil {
		return nil, err
	}
	x := remote.Execution(r.ID)
	switch r.Do {
	case "signal":
		_, err = remote.Raise(ctx, d.client, r.ID, r.Name, r.Body, parley.WithID(parley.MessageID(e.ID)))
	case "cancel":
		err = x.Cancel(ctx, d.client, r.Reason)
	case "retry":
		err = x.Retry(ctx, d.client)
	default:
		err = &parley.Error{Code: parley.InvalidArgument, NotSent: true,
			Message: fmt.Sprintf("POST %s: want %[1]s:signal?name=NAME, %[1]s:cancel or %[1]s:retry", locationOf(r.Address, r.ID))}
	}
	if err != nil {
		return nil, err
	}
	reply := transport.Reply{Status: 202, Location: locationOf(r.Address, r.ID)}
	if !d.ownerRuns(r.Address) {
		return empty(reply), nil // it is safe in the queue
	}
	s, err := Status(ctx, d.client, x, 0)
	if err != nil {
		return empty(reply), nil //nolint:nilerr // what was asked for has been done
	}
	return answerStatus(s, reply)
}

// operationList is what running owners have, and what cannot be told now.
type operationList struct {
	Operations []parley.OperationStatus `json:"operations"` // without their steps, the newest first
	Away       []Away                   `json:"away"`
	Problems   []string                 `json:"problems,omitzero"` // why an owner that runs did not answer
}

// list shows the operations of the owners that run.
func (d *door) list(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
	var r request
	if err := json.Unmarshal(e.Body, &r); err != nil {
		return nil, unreadable(err)
	}
	all, err := parley.Operations(ctx, d.client, r.Address, r.Limit, r.Status...)
	if parley.CodeOf(err) == parley.InvalidArgument {
		return nil, err
	}
	away, awayErr := AwayOwners(ctx, d.net)
	l := operationList{Operations: append([]parley.OperationStatus{}, all...), Away: []Away{}}
	for _, a := range away {
		if r.Address == "" || r.Address == a.Address {
			l.Away = append(l.Away, a)
		}
	}
	if err = errors.Join(err, awayErr); err != nil {
		l.Problems = strings.Split(err.Error(), "\n")
	}
	return answerJSON(l, transport.Reply{})
}

// read is a request with the contract that it is about.
func (d *door) read(ctx context.Context, e *transport.Envelope) (r request, remote *parley.Remote, err error) {
	if err := json.Unmarshal(e.Body, &r); err != nil {
		return r, nil, unreadable(err)
	}
	remote, err = parley.Lookup(ctx, d.client, r.Address)
	if err == nil && remote.Style != parley.StyleOperation {
		err = &parley.Error{Code: parley.InvalidArgument, Address: r.Address, NotSent: true, Message: fmt.Sprintf("is no operation, it is one of style %s", remote.Style)}
	}
	return r, remote, err
}

// look is an operation once its Revision is another than since (since < 0: once it is Done), or as it is when wait is over
// or life is done.
func (d *door) look(ctx, life context.Context, remote *parley.Remote, id parley.MessageID, since int64, wait time.Duration) (parley.OperationStatus, error) {
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)-answerEarly)
	}
	began := time.Now()
	for {
		s, err := d.hold(ctx, life, remote.Execution(id), since, wait-time.Since(began))
		over := time.Since(began) >= wait || ctx.Err() != nil || life.Err() != nil
		late := parley.CodeOf(err) == parley.NotFound && time.Since(began) < ledgerDelay && ctx.Err() == nil
		switch {
		case late && life.Err() != nil: // nobody will find out whether the ledger gets to know it
			return s, &parley.Error{Code: parley.Unavailable, Address: remote.Address, ID: string(id), RetryAfter: time.Second, Message: "this node ends; ask again"}
		case err == nil && (over || s.Done || since >= 0 && s.Revision != since):
			return s, nil
		case late && !d.ownerRuns(remote.Address): // the ledger may not know it yet
		case err != nil && (over || parley.CodeOf(err) != parley.Unavailable):
			return s, err
		}
		rest := awayPause
		if !late {
			rest = min(rest, wait-time.Since(began))
		}
		pause(ctx, life, rest)
	}
}

// hold is Status for at most that long, and at once where there is no time.
func (d *door) hold(ctx, life context.Context, x parley.Execution[jsontext.Value], since int64, wait time.Duration) (parley.OperationStatus, error) {
	if wait > 0 && life.Err() == nil {
		held, release := context.WithTimeout(ctx, wait)
		defer release()
		defer context.AfterFunc(life, release)()
		s, err := Status(held, d.client, x, since)
		if err == nil || held.Err() == nil {
			return s, err
		}
	}
	return Status(ctx, d.client, x, 0)
}

func (d *door) ownerRuns(address string) bool { return len(d.net.Directory.Peers(address)) > 0 }

// pause is a sleep that ends early when ctx or life does.
func pause(ctx, life context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-life.Done():
	}
}

func locationOf(address string, id parley.MessageID) string {
	return operationsPath + "/" + url.PathEscape(address) + "/" + url.PathEscape(string(id))
}
