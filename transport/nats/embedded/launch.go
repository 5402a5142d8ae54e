package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// startLimit is for recovery: a large directory is read at about 1 GiB/s.
	startLimit = 2 * time.Minute
	// unbounded is more than any disk has.
	unbounded = 1 << 60
)

// launch starts a server with s.options and fixes the port that it got.
func (s *Server) launch(ctx context.Context) (*server.Server, error) {
	o := s.options.Clone()
	if !o.DontListen { // the server itself would log the failure and go on without
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(o.Host, strconv.Itoa(max(o.Port, 0))))
		if err != nil {
			return nil, fmt.Errorf("%w: choose another port, or 0 for any free one", err)
		}
		s.options.Port = l.Addr().(*net.TCPAddr).Port
		o.Port = s.options.Port
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	log := &logger{warn: s.warn, alarmed: &s.alarmed}
	n, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	n.SetLoggerV2(log, false, false, false)
	n.Start()
	err = ready(ctx, n)
	if err == nil {
		err = s.bound(n, s.allowed(n, s.room()))
	}
	if err != nil {
		n.Shutdown()
		n.WaitForShutdown()
		return nil, errors.Join(err, log.first())
	}
	return n, nil
}

// ready waits until n takes connections and JetStream has recovered.
func ready(ctx context.Context, n *server.Server) error {
	deadline := time.Now().Add(startLimit)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		if !n.Running() {
			return errors.New("the server ended while it started")
		}
		if n.ReadyForConnections(100*time.Millisecond) && n.JetStreamEnabled() {
			return nil
		}
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("not ready in time: %w", err)
	}
	return fmt.Errorf("not ready within %v", startLimit)
}

func settings(o Options) (server.Options, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return server.Options{}, err
	}
	s := server.Options{
		ServerName:         "parley",
		DontListen:         o.Listen == "",
		Authorization:      o.Token,
		NoSigs:             true,
		JetStream:          true,
		StoreDir:           dir,
		SyncAlways:         true,
		JetStreamMaxStore:  unbounded, // the account is bound, which may be changed while it runs
		JetStreamMaxMemory: 64 << 20,  // readers of their own; channels are on disk
		MaxPayload:         1 << 20,
		JetStreamLimits:    server.JSLimitOpts{MaxHAAssets: 0, MaxAckPending: 10_000},
	}
	if o.Listen == "" {
		return s, nil
	}
	host, port, _ := net.SplitHostPort(o.Listen) // checked by check
	s.Host = host
	if s.Port, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", port); err != nil {
		return server.Options{}, fmt.Errorf("listen %q: %w", o.Listen, err)
	}
	return s, nil
}
