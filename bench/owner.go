package main

import (
	"context"
	"errors"

	"github.com/parley-io/parley"
)

// owner is a service with an operation of three steps, and a client that starts it and waits, by calls over HTTP.
type owner struct {
	*service
	client *parley.Client
}

func startOwner(ctx context.Context, s setup) (actor, string, error) {
	n, err := openNetwork(ctx, embeddedURL(s.Dir), "owner")
	if err != nil {
		return nil, "", err
	}
	client, err := newClient("bench", n)
	if err != nil {
		return nil, "", errors.Join(err, n.Close(ctx))
	}
	o := &owner{client: client}
	if o.service, err = runService(ctx, n, client, three.Handle(1, runThree)); err != nil {
		return nil, "", err
	}
	if err := awaitPeers(ctx, n, three.Address()); err != nil {
		return nil, "", errors.Join(err, o.close(ctx))
	}
	return o, "", nil
}

func runThree(ctx context.Context, in chargeOrder) (chargeOrder, error) {
	for _, name := range []string{"reserve", "charge", "tell"} {
		if _, err := parley.Step(ctx, name, func(context.Context) (string, error) { return in.Memo, nil }); err != nil {
			return chargeOrder{}, err
		}
	}
	return in, nil
}

func (o *owner) do(ctx context.Context, w order) (figures, error) {
	return hammer(ctx, w.Concurrency, w.For, func(ctx context.Context) error {
		_, err := three.Call(ctx, o.client, newChargeOrder(1, 1))
		return err
	})
}
