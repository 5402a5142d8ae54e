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
	"sync/atomic"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/parley-io/parley/internal/filelock"
)

// Server is a running broker. All methods may be called concurrently.
type Server struct {
	options server.Options
	most    int64 // that may be kept
	warn    func(string)
	release func() error // of the directory
	look    func(dir string) (room, error)

	mu    sync.Mutex
	now   *server.Server // nil while there is none
	away  error          // why there is none; nil = there is one
	ended bool           // Close was called

	alarmed atomic.Bool  // the server has told of an error
	tight   atomic.Bool  // the disk is nearly full
	limit   atomic.Int64 // of what is kept, at present

	stop   context.CancelFunc // the watchdog
	watch  sync.WaitGroup
	closed chan struct{}
}

// lockFile is in Dir, beside the server's own directory.
const lockFile = "parley.lock"

var errClosed = errors.New("embedded broker: closed")

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
	s := &Server{warn: o.Warn, release: release, look: roomOf, closed: make(chan struct{})}
	if s.most = o.MaxBytes; s.most == 0 {
		s.most = defaultMaxBytes
	}
	if s.options, err = settings(o); err == nil {
		s.now, err = s.launch(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded broker: start on %s: %w", o.Dir, err), release())
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.watch.Go(func() { s.watchdog(watching) })
	return s, nil
}

// InProcessConn is a connection that needs no socket. Package nats calls it, also to reconnect. While there is no server,
// because the disk is full for example, the error says why.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	now, away := s.now, s.away
	s.mu.Unlock()
	if away != nil {
		return nil, away
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
	first := !s.ended
	s.ended, s.away = true, errClosed
	s.mu.Unlock()
	if first {
		s.stop()
		go func() { // its end is s.closed, which Close waits for
			defer close(s.closed)
			s.watch.Wait()
			s.leave(errClosed)
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

// running is the server, nil while there is none.
func (s *Server) running() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// leave ends the server in order. Until the next one comes, why is what connections are told.
func (s *Server) leave(why error) {
	s.mu.Lock()
	now := s.now
	s.now = nil
	if !s.ended {
		s.away = why
	}
	s.mu.Unlock()
	if now != nil {
		now.Shutdown()
		now.WaitForShutdown()
	}
}

// come lets connections reach a server that has started.
func (s *Server) come(n *server.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = n
	if !s.ended {
		s.away = nil
	}
}
