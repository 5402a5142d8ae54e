package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/parley-io/parley/internal/filelock"
)

// Server is a running broker. All methods may be called concurrently.
type Server struct {
	options server.Options
	warn    func(string)
	release func() error // of the directory

	mu     sync.Mutex
	now    *server.Server // nil once closed
	stop   chan struct{}
	watch  sync.WaitGroup
	closed chan struct{}
}

const (
	// startLimit is for recovery: a large directory is read at about 1 GiB/s.
	startLimit = 2 * time.Minute
	// checkEvery is how often the watchdog asks whether the server can still write.
	checkEvery = 5 * time.Second
	// lockFile is in Dir, beside the server's own directory.
	lockFile = "parley.lock"
)

// Start runs a broker on o.Dir and returns when it takes connections. It fails, and leaves nothing running, when
// another process owns the directory, it cannot be written, or the port is taken; ctx bounds only the start.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded broker: make the data directory: %w: choose another directory", err)
	}
	release, err := filelock.Lock(filepath.Join(o.Dir, lockFile))
	if held, ok := errors.AsType[*filelock.Held](err); ok {
		return nil, fmt.Errorf("embedded broker: take the data directory %s: %s owns it: a directory has one owner; let all services use one broker: run `parley dev`", o.Dir, held.Owner)
	}
	if err != nil {
		return nil, fmt.Errorf("embedded broker: take the data directory %s: %w", o.Dir, err)
	}
	s := &Server{warn: o.Warn, release: release, stop: make(chan struct{}), closed: make(chan struct{})}
	if s.options, err = settings(o); err == nil {
		s.now, err = s.launch(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded broker: start on %s: %w", o.Dir, err), release())
	}
	s.watch.Go(s.watchdog)
	return s, nil
}

// InProcessConn is a connection that needs no socket. Package nats calls it, also to reconnect.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	now := s.now
	s.mu.Unlock()
	if now == nil {
		return nil, errors.New("embedded broker: closed")
	}
	return now.InProcessConn()
}

// URL is where others on this machine connect, without the token; "" without Options.Listen.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options.DontListen {
		return ""
	}
	return "nats://" + net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.Port))
}

// Token is what connections must show, also those of [Server.InProcessConn]; "" = none.
func (s *Server) Token() string { return s.options.Authorization }

// Survives is what a confirmation of this broker survives: "power".
func (s *Server) Survives() string { return "power" }

// Close ends the broker in order and gives the directory free, also when ctx is done first; then it returns ctx's error
// while the server still ends. Close the connections before. Closing twice is fine.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	now := s.now
	s.now = nil
	s.mu.Unlock()
	if now != nil {
		close(s.stop)
		go func() { // its end is s.closed, which Close waits for
			defer close(s.closed)
			s.watch.Wait()
			now.Shutdown()
			now.WaitForShutdown()
			_ = s.release() // ends the lock whatever it answers
		}()
	}
	select {
	case <-s.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("embedded broker: close: %w", context.Cause(ctx))
	}
}

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
	log := &logger{warn: s.warn}
	n, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	n.SetLoggerV2(log, false, false, false)
	n.Start()
	if err := ready(ctx, n); err != nil {
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
	limit := o.MaxBytes
	if limit == 0 {
		limit = defaultMaxBytes
	}
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
		JetStreamMaxStore:  limit,
		JetStreamMaxMemory: 64 << 20, // readers of their own; channels are on disk
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
