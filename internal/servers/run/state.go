package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/internal/filelock"
	"github.com/parley-io/parley/internal/servers"
)

// state is a directory with a file for each server that was left running. One process changes it at a time.
type state struct{ dir string }

// start leaves servers running and prints the variables that name them. One that runs already is only named again.
func (s state) start(ctx context.Context, std streams, kinds []servers.Kind) error {
	return s.locked(func() error {
		var mu sync.Mutex
		urls := map[servers.Kind]string{}
		err := each(kinds, func(kind servers.Kind) error {
			r, err := s.one(ctx, std.err, kind)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			urls[kind] = r.URL
			return nil
		})
		failed := []error{err}
		for _, kind := range servers.Kinds() {
			if url := urls[kind]; url != "" {
				_, err := fmt.Fprintf(std.out, "export %s=%s\n", kind.Variable(), url)
				failed = append(failed, err)
			}
		}
		return errors.Join(failed...)
	})
}

// stop ends all of them.
func (s state) stop(ctx context.Context, log io.Writer) error {
	return s.locked(func() error {
		return each(servers.Kinds(), func(kind servers.Kind) error {
			r, err := s.read(kind)
			if err != nil || len(r.Processes) == 0 {
				return err
			}
			if err := r.Stop(ctx); err != nil {
				return err
			}
			_, _ = fmt.Fprintf(log, "%s is stopped\n", kind)
			return os.Remove(s.file(kind))
		})
	})
}

// one is the server of a kind, which runs.
func (s state) one(ctx context.Context, log io.Writer, kind servers.Kind) (servers.Record, error) {
	r, err := s.read(kind)
	if err != nil || r.Running() {
		return r, err
	}
	if err := r.Stop(ctx); err != nil { // what is left of one that has died
		return r, err
	}
	server, err := servers.Start(ctx, kind, servers.Options{Log: log, Detached: true})
	if err != nil {
		return r, err
	}
	if r, err = server.Record(); err == nil {
		err = s.write(r)
	}
	if err != nil {
		return r, errors.Join(err, server.Stop(context.WithoutCancel(ctx)))
	}
	return r, nil
}

func (s state) locked(do func() error) error {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return err
	}
	release, err := filelock.Lock(filepath.Join(s.dir, "lock"))
	if err != nil {
		return fmt.Errorf("the servers of %s are being started or stopped: %w", s.dir, err)
	}
	return errors.Join(do(), release())
}

func (s state) file(kind servers.Kind) string { return filepath.Join(s.dir, string(kind)+".json") }

// read is the zero record where there is none.
func (s state) read(kind servers.Kind) (servers.Record, error) {
	var r servers.Record
	b, err := os.ReadFile(s.file(kind))
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, fmt.Errorf("reading which %s was left running: %w", kind, err)
	}
	return r, nil
}

func (s state) write(r servers.Record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(s.file(r.Kind), append(b, '\n'), 0o600)
}
