package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Options of a server. The zero value is a server in a temporary directory that says nothing.
type Options struct {
	// Dir is for what the server stores, writes and reads; it must be empty or not exist, and is kept at Stop.
	// "" means a temporary one, removed at Stop.
	Dir string
	// Log gets a line for each thing that is installed, started and kept; nil means nowhere.
	Log io.Writer
	// Settings are lines of the server's own configuration, key and value as they stand in rabbitmq.conf,
	// server.properties or nats-server's file. They win over those of this package.
	Settings map[string]string
	// Advertise is host:port under which clients reach a Kafka broker, such as that of a proxy; "" means where it listens.
	// The others do not tell clients where they are.
	Advertise string
	// Detached servers outlive this process; see [Server.Record].
	Detached bool
}

// Server is one that runs, or ran. Not for concurrent use.
type Server struct {
	// URL is amqp://USER:PASSWORD@127.0.0.1:PORT/VHOST, kafka://127.0.0.1:PORT or nats://USER:PASSWORD@127.0.0.1:PORT.
	URL string
	// Logs is the directory of what the server wrote; "" with a server that this package did not start.
	Logs string
	// KeepLogs has Stop keep that directory. Set it where a test failed.
	KeepLogs bool

	kind     Kind
	options  Options
	layout   *layout
	node     int        // which of the layout, from 0
	dir      string     // "" when stopped
	programs []program  // in the order of starting; the last one is the server itself
	running  []*process // of the same order and length; nothing with a server that this package did not start
}

// Start starts a server of its own and returns when it serves; what it needs and this machine lacks is installed before.
// ctx bounds the start and not the server's life, which ends with Stop, or with this process where the system can do
// that (Linux).
func Start(ctx context.Context, kind Kind, options Options) (*Server, error) {
	layout, err := newLayout(ctx, 1)
	if err != nil {
		return nil, err
	}
	s := &Server{kind: kind, options: options, layout: layout}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// start starts what is in the layout. After an error nothing of it is running.
func (s *Server) start(ctx context.Context) error {
	if s.options.Log == nil {
		s.options.Log = io.Discard
	}
	installed, err := s.kind.install(ctx, s.options.Log)
	if err != nil {
		return err
	}
	if s.dir, err = directory(s.kind, s.options.Dir); err != nil {
		return err
	}
	s.Logs = filepath.Join(s.dir, "logs")
	if err = s.lay(ctx, installed); err == nil {
		err = s.startAll(ctx)
	}
	if err != nil {
		s.KeepLogs = true // the error names a file there
		return errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
	}
	s.URL = s.layout.url(s.kind, s.main().address)
	sayf(s.options.Log, "%s serves at %s, process %d, in %s", s.kind, s.main().address, s.main().cmd.Process.Pid, s.dir)
	return nil
}

// Kill ends the server with SIGKILL and returns when it has ended.
func (s *Server) Kill() error {
	if err := s.ours("kill"); err != nil {
		return err
	}
	return s.main().kill()
}

// Restart starts the server again, on the same data and ports, and returns when it serves. One that still runs is
// killed before.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Kill(); err != nil {
		return err
	}
	last := len(s.programs) - 1
	p, err := s.programs[last].start(ctx)
	if err != nil {
		return err
	}
	s.running[last] = p
	return nil
}

// Wipe is Restart without anything that the server had stored.
func (s *Server) Wipe(ctx context.Context) error {
	if err := s.Kill(); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
		return err
	}
	if s.kind == Kafka {
		if err := s.formatKafka(ctx); err != nil {
			return err
		}
	}
	return s.Restart(ctx)
}

// Freeze stops the server's process where it is (SIGSTOP): its connections stay, and it does not answer.
func (s *Server) Freeze() error {
	if err := s.ours("freeze"); err != nil {
		return err
	}
	return s.main().freeze()
}

// Thaw has it go on.
func (s *Server) Thaw() error {
	if err := s.ours("thaw"); err != nil {
		return err
	}
	return s.main().signal(syscall.SIGCONT)
}

// Stop ends the server in order, by force where it does not within 30 s or ctx, and removes what it made: the
// temporary directory, but not its logs where KeepLogs says so. A second call does nothing, and so does one with a server
// that this package did not start.
func (s *Server) Stop(ctx context.Context) error {
	var failed []error
	for i := len(s.running) - 1; i >= 0; i-- {
		failed = append(failed, s.running[i].stop(ctx))
	}
	s.running = nil
	if s.dir != "" && s.options.Dir == "" {
		failed = append(failed, s.remove())
	}
	s.dir = ""
	return errors.Join(failed...)
}

// lay makes the server's directories and files and says how it is started.
func (s *Server) lay(ctx context.Context, installed string) error {
	if err := os.Mkdir(s.Logs, 0o750); err != nil {
		return err
	}
	switch s.kind {
	case RabbitMQ:
		return s.layRabbitMQ(ctx, installed)
	case Kafka:
		return s.layKafka(ctx, installed)
	default:
		return s.layNATS(ctx, installed)
	}
}

// write makes files in the server's directory that only this user may read.
func (s *Server) write(files map[string]string) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o400); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) startAll(ctx context.Context) error {
	for i, p := range s.programs {
		p.dir, p.log, p.detached = s.dir, filepath.Join(s.Logs, p.name+".log"), s.options.Detached
		s.programs[i] = p
		running, err := p.start(ctx)
		if err != nil {
			return err
		}
		s.running = append(s.running, running)
	}
	return nil
}

// main is the server's own process.
func (s *Server) main() *process { return s.running[len(s.running)-1] }

func (s *Server) ours(verb string) error {
	if len(s.running) == 0 {
		return fmt.Errorf("can't %s %s: it was not started here, or has been stopped", verb, s.kind)
	}
	return nil
}

// remove leaves nothing of the temporary directory but the logs that are wanted.
func (s *Server) remove() error {
	if !s.KeepLogs || os.Remove(s.Logs) == nil { // an empty directory tells nothing
		return os.RemoveAll(s.dir)
	}
	sayf(s.options.Log, "%s: its logs are kept in %s", s.kind, s.Logs)
	entries, err := os.ReadDir(s.dir)
	failed := []error{err}
	for _, e := range entries {
		if e.Name() != filepath.Base(s.Logs) {
			failed = append(failed, os.RemoveAll(filepath.Join(s.dir, e.Name())))
		}
	}
	return errors.Join(failed...)
}

// directory is an empty one, made where it is missing.
func directory(kind Kind, dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "parley-"+string(kind)+"-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) > 0 {
		return "", errors.Join(fmt.Errorf("starting %s in %s: want an empty directory", kind, dir), err)
	}
	return dir, nil
}
