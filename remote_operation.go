package parley

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/operation"
)

// Start starts an operation, as [Operation.Start] does. While nobody runs who announced the contract, the body is checked
// by the owner, once it is back.
func (r *Remote) Start(ctx context.Context, client *Client, body []byte, options ...RequestOption) (Execution[jsontext.Value], error) {
	x := r.Execution("")
	if run, ok := operation.RunFrom(ctx); ok {
		var err error
		x.ID, err = verb(ctx, run, r.contract, func(ctx context.Context, id MessageCallOption) (MessageID, error) {
			x, err := r.Start(ctx, client, body, append([]RequestOption{id}, options...)...)
			return x.ID, err
		})
		return x, err
	}
	if r.Style != StyleOperation {
		return x, r.wrong(fmt.Sprintf("is no operation, it is one of style %s", r.Style))
	}
	e, err := begin(ctx, client, r.contract, body, options)
	if e != nil {
		x.ID = MessageID(e.ID)
	}
	return x, err
}

// Execution is the operation of an id; its result is JSON.
func (r *Remote) Execution(id MessageID) Execution[jsontext.Value] {
	return Execution[jsontext.Value]{ID: id, contract: r.contract}
}

// Raise tells an operation, as [Signal.Raise] does.
func (r *Remote) Raise(ctx context.Context, client *Client, id MessageID, signal string, body []byte, options ...RequestOption) (MessageID, error) {
	if run, ok := operation.RunFrom(ctx); ok {
		return verb(ctx, run, r.contract, func(ctx context.Context, own MessageCallOption) (MessageID, error) {
			return r.Raise(ctx, client, id, signal, body, append([]RequestOption{own}, options...)...)
		})
	}
	for _, s := range r.contract.signals {
		if s.name == signal {
			if err := s.fits(r.contract, body); err != nil {
				return "", err
			}
		}
	}
	return client.raise(ctx, r.contract, operationAction{Do: doSignal, ID: id, Name: signal, Body: body}, options)
}

// Operations are those of the owners that run now, the newest first, without their steps: at most limit of each owner (0 =
// 100), of the statuses given (none = all), of one address ("" = all). An error says who could not be asked; what
// the others said is returned with it.
func Operations(ctx context.Context, client *Client, address string, limit int, statuses ...string) ([]OperationStatus, error) {
	var all []OperationStatus
	var errs []error
	for _, a := range ownedAddresses(client) {
		if address != "" && a != address {
			continue
		}
		page, err := client.list(ctx, a, listRequest{Limit: limit, Status: strings.Join(statuses, ",")})
		if err != nil {
			errs = append(errs, fmt.Errorf("the operations of %s: %w", a, err))
		}
		all = append(all, page.Operations...)
	}
	slices.SortStableFunc(all, func(a, b OperationStatus) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID))
	})
	return all, errors.Join(errs...)
}

// Locate finds the contract of the operation with an id: at the owners that run now, else by its trail. NotFound says that all
// of them were asked and none knows it.
func Locate(ctx context.Context, client *Client, id MessageID) (*Remote, error) {
	var heard error
	for _, a := range ownedAddresses(client) {
		_, err := client.status(ctx, ownerless(a), id, 0, 0)
		if err == nil {
			return Lookup(ctx, client, a)
		}
		if CodeOf(err) != NotFound {
			heard = err
		}
	}
	trail, err := client.Follow(ctx, id)
	for _, h := range trail.Hops {
		if h.ID == string(id) && h.Style == ledger.StyleOperation {
			return Lookup(ctx, client, h.Address)
		}
	}
	switch {
	case heard != nil:
		return nil, heard
	case err != nil && CodeOf(err) != NotFound:
		return nil, err
	}
	return nil, &Error{Code: NotFound, ID: string(id), NotSent: true, Message: "no running owner has an operation of this id, and no trail knows it"}
}

// ownedAddresses are those of the operations whose owners run now, sorted.
func ownedAddresses(client *Client) []string {
	var all []string
	for _, i := range announced(client) {
		all = append(all, i.Operations...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// list asks an owner for a page.
func (c *Client) list(ctx context.Context, address string, r listRequest) (page operationList, err error) {
	body, err := encode(r)
	if err != nil {
		return page, err
	}
	k := ownerless(address)
	answer, err := c.ask(ctx, k, listAddress(address), newEnvelope(ctx, address, c.name, body), DefaultCallTimeout)
	if err != nil {
		return page, err
	}
	return page, decodeJSON(answer.Body, &page)
}
