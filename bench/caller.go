package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley"
)

// caller makes calls through Parley, with all policies as they are by default.
type caller struct {
	net     *parley.Network
	on, off *parley.Client // with and without the ledger
}

// peersLimit bounds the wait for the callee's announcement.
const peersLimit = 10 * time.Second

func startCaller(ctx context.Context, s setup) (actor, string, error) {
	net, err := openNetwork(ctx, s.URL, "caller")
	if err != nil {
		return nil, "", err
	}
	c := &caller{net: net}
	c.on, c.off, err = bothClients("caller", net)
	if err == nil {
		err = awaitPeers(ctx, net, quote.Address())
	}
	if err != nil {
		return nil, "", errors.Join(err, net.Close(ctx))
	}
	return c, "", nil
}

func (c *caller) do(ctx context.Context, o order) (figures, error) {
	client := c.on
	if o.What == ledgerOff {
		client = c.off
	}
	before, _ := ledgerStats(c.net)
	found, err := hammer(ctx, o.Concurrency, o.For, func(ctx context.Context) error {
		out, err := quote.Call(ctx, client, newQuoteRequest())
		if err != nil {
			return err
		}
		return checkQuote(out)
	})
	found.Recorded, found.Dropped = ledgerStats(c.net)
	switch {
	case err != nil:
	case o.What == ledgerOn && found.Recorded == 0:
		err = errors.New("nothing was recorded with the ledger on")
	case o.What == ledgerOff && found.Recorded != before:
		err = fmt.Errorf("%d transitions were recorded with the ledger off", found.Recorded-before)
	}
	return found, err
}

func (c *caller) close(ctx context.Context) error { return c.net.Close(ctx) }

// plainCaller is what one writes with net/http alone, for a peer that is known. It has no deadline.
type plainCaller struct {
	client *http.Client
	url    string
}

func startPlainCaller(_ context.Context, s setup) (actor, string, error) {
	connections := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true, IdleConnTimeout: time.Minute}
	return &plainCaller{client: &http.Client{Transport: connections}, url: s.Peer + quotePath}, "", nil
}

func (p *plainCaller) do(ctx context.Context, o order) (figures, error) {
	return hammer(ctx, o.Concurrency, o.For, func(ctx context.Context) error {
		out, err := p.call(ctx, newQuoteRequest())
		if err != nil {
			return err
		}
		return checkQuote(out)
	})
}

func (p *plainCaller) call(ctx context.Context, in quoteRequest) (out quoteAnswer, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := p.client.Do(request)
	if err != nil {
		return out, err
	}
	answer, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return out, err
	}
	if response.StatusCode != http.StatusOK {
		return out, fmt.Errorf("%s answered %s", p.url, response.Status)
	}
	return out, json.Unmarshal(answer, &out)
}

func (p *plainCaller) close(context.Context) error {
	p.client.CloseIdleConnections()
	return nil
}

// awaitPeers waits until the network's directory knows who answers an address.
func awaitPeers(ctx context.Context, n *parley.Network, address string) error {
	ctx, cancel := context.WithTimeout(ctx, peersLimit)
	defer cancel()
	if !poll(ctx, func() bool { return len(n.Directory.Peers(address)) > 0 }) {
		return fmt.Errorf("nobody answers %s within %v", address, peersLimit)
	}
	return nil
}
