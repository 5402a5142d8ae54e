package main

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-io/parley/internal/demo"
	"github.com/parley-io/parley/internal/servers"
)

// embedded is the network whose broker is a process of the demo.
const embedded = "embedded"

// server is a broker of its own, beside the demo's processes. The nil server is the embedded one.
type server struct {
	*servers.Server
	away time.Duration // after a kill
}

func startServer(ctx context.Context, o options) (*server, error) {
	if o.network == "" || o.network == embedded {
		if o.away != 0 {
			return nil, fmt.Errorf("-away %v: an embedded broker is started again at once; want -network nats, rabbitmq or kafka", o.away)
		}
		return nil, nil
	}
	s, err := servers.Start(ctx, servers.Kind(o.network), servers.Options{Log: o.out})
	if err != nil {
		return nil, err
	}
	return &server{s, o.away}, nil
}

// network is the URL by which everybody uses it, with the consent to what one server alone may lose.
func (s *server) network() string {
	if s == nil {
		return ""
	}
	return s.URL + "?survives=process"
}

func (s *server) stop(failed bool) error {
	if s == nil {
		return nil
	}
	s.KeepLogs = failed
	return s.Stop(context.Background())
}

// resumeLimit is for messages to be confirmed again once the broker is back.
const resumeLimit = 10 * time.Second

// kill kills the broker, starts it again, and waits until messages are confirmed again.
func (s *server) kill(ctx context.Context, cast *demo.Cast, round string) error {
	if err := s.Kill(); err != nil {
		return fmt.Errorf("%s: %w", round, err)
	}
	pause(ctx, s.away)
	if err := s.Restart(ctx); err != nil {
		return fmt.Errorf("%s: %w", round, err)
	}
	back := time.Now()
	before, err := confirmed(cast)
	for now := before; err == nil && now == before && time.Since(back) < recoverLimit && ctx.Err() == nil; now, err = confirmed(cast) {
		pause(ctx, 100*time.Millisecond)
	}
	took := time.Since(back)
	cast.Sayf("%s: the broker was killed, and messages were confirmed again %v after its return", round, took.Round(10*time.Millisecond))
	if err == nil && took > resumeLimit && ctx.Err() == nil {
		err = fmt.Errorf("nothing was confirmed for %v after the return of the broker; want at most %v", took, resumeLimit)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", round, err)
	}
	return nil
}

func confirmed(cast *demo.Cast) (int, error) {
	o, err := cast.Outside()
	if err != nil {
		return 0, err
	}
	return len(o.Confirmed), nil
}
