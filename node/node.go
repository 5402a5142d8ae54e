package node

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
)

// stopLimit bounds the end of a node.
const stopLimit = 10 * time.Second

// Info is what a running node tells whoever started it.
type Info struct {
	Dir     string `json:"dir"`
	URL     string `json:"url"`   // of the network, without the token
	Token   string `json:"token"` // of the network
	HTTP    string `json:"http"`  // "http://127.0.0.1:7070"
	PID     int    `json:"pid"`
	Runtime string `json:"runtime"` // the directory of the file by which others find it
	// Notice is what a person should know, "" = nothing: that the usual port was taken.
	Notice string `json:"notice,omitzero"`
}

// Run runs a node until ctx is done, and then ends it in order within 10 s. ready, if not nil, is called once, when
// everything is served and others can find it. A node that runs already for this user is an error that wraps
// [network.ErrRunning]; so is every other reason why it cannot be started, before anything of it is left behind.
func Run(ctx context.Context, o Options, ready func(Info)) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("node: %w", err)
		}
	}()
	if o, err = o.normal(); err != nil {
		return err
	}
	if err := alone(); err != nil {
		return err
	}
	last, err := recall(o.Dir)
	if err != nil {
		return err
	}
	info := Info{Dir: o.Dir, Token: last.Token, PID: os.Getpid()}
	if info.Runtime, err = network.RuntimeDir(); err != nil {
		return err
	}
	listen, notice, err := freeAddress(ctx, o.HTTP)
	if err != nil {
		return err
	}
	info.HTTP, info.Notice = "http://"+listen, notice
	n, err := network.Open(ctx, (&url.URL{Scheme: "embedded", Path: o.Dir}).String(),
		network.WithSource("dev"), network.WithFaults(), network.WithListen(listen), network.WithAdvertise(info.HTTP), network.WithWarn(o.Warn),
		network.WithTelemetry(o.Telemetry), network.WithMetrics(o.Metrics),
		network.WithSharing(brokerAddress(ctx, o.Broker, last.Broker), info.Token, func(url string) { info.URL = url }))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeNetwork(ctx, n)) }()
	last.Broker = strings.TrimPrefix(info.URL, "nats://")
	if err := last.keep(o.Dir); err != nil {
		return err
	}
	if err := servePages(n, info); err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended, err := serveOperations(serving, n)
	if err != nil {
		return err
	}
	defer func() { stop(); <-ended }()
	absolute, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	remove, err := network.WriteRuntime(network.Runtime{URL: info.URL, Token: info.Token, HTTP: info.HTTP, PID: info.PID, Dev: true, Dir: absolute})
	if err != nil {
		return err
	}
	defer remove()
	if ready != nil {
		ready(info)
	}
	<-ctx.Done()
	return nil
}

// alone reports a node of this user that runs already.
func alone() error {
	other, ok, err := network.ReadRuntime()
	if err != nil || !ok {
		return err
	}
	return fmt.Errorf("%w: process %d serves %s; services and commands find it by themselves. Stop it first, or set PARLEY_RUNTIME_DIR to another directory for a second one",
		network.ErrRunning, other.PID, other.URL)
}

func closeNetwork(ctx context.Context, n *parley.Network) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	return n.Close(ctx)
}
