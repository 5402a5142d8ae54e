package nats

import (
	"context"
	"math/rand/v2"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Between two rounds of tries to reconnect: at first, and at most.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

func (b *Broker) connect(ctx context.Context) error {
	options := []natsio.Option{
		natsio.Name(b.options.Name),
		natsio.MaxReconnects(-1),
		natsio.IgnoreAuthErrorAbort(), // a password may be changed on both sides
		natsio.ReconnectBufSize(-1),   // what cannot be written is told at once
		natsio.CustomReconnectDelay(pause),
		natsio.FlusherTimeout(writeLimit),
		natsio.ReconnectOnFlusherError(), // what was not written must not be missing without a word
		natsio.PingInterval(5 * time.Second),
		natsio.MaxPingsOutstanding(2),
		natsio.DisconnectErrHandler(func(*natsio.Conn, error) { b.confirms.lost() }),
		natsio.ReconnectErrHandler(func(_ *natsio.Conn, err error) { b.apart.Store(&err) }),
		natsio.ReconnectHandler(func(*natsio.Conn) {
			b.apart.Store(nil)
			b.announceReconnection()
		}),
		natsio.ClosedHandler(func(*natsio.Conn) { close(b.ended) }),
		natsio.ErrorHandler(func(_ *natsio.Conn, _ *natsio.Subscription, err error) {
			b.confirms.forbidden(err)
			if unauthenticated(err) { // the library does not take that for a failed try
				told := unopened(err)
				b.apart.Store(&told)
			}
		}),
	}
	if b.options.Token != "" {
		options = append(options, natsio.Token(b.options.Token))
	}
	if b.options.TLS != nil {
		options = append(options, natsio.Secure(b.options.TLS))
	}
	timeout := dialLimit
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(min(timeout, time.Until(deadline)), time.Millisecond)
	}
	options = append(options, natsio.Timeout(timeout))
	d := &dialer{b: b, timeout: timeout}
	if b.options.InProcess != nil {
		options = append(options, natsio.InProcessServer(d))
	} else {
		options = append(options, natsio.SetCustomDialer(d))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	url := ""
	if b.options.URL != "" {
		url = everywhere(b.options.URL)
	}
	if b.options.Password != nil {
		without, user, _ := anonymous(url) // checked with the options
		url = without
		options = append(options, d.login(user))
	}
	b.confirms = newConfirms(b)
	b.audience = newAudience(b)
	nc, err := natsio.Connect(url, options...)
	if err != nil {
		return err
	}
	b.nc = nc
	err = b.prepare(ctx)
	if err != nil {
		nc.Close()
		<-b.ended
	}
	return err
}

// pause is how long the client library waits before the n-th try to reconnect to all servers.
func pause(n int) time.Duration {
	d := min(firstPause<<min(n-1, 10), lastPause)
	return d/2 + rand.N(d/2)
}

// prepare makes the subscriptions that live as long as the connection, and looks at what the server is.
func (b *Broker) prepare(ctx context.Context) (err error) {
	if b.js, err = jetstream.New(b.nc, jetstream.WithDefaultTimeout(answerLimit)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, errSilentServer)
	defer cancel()
	if err := b.confirms.subscribe(); err != nil {
		return err
	}
	begin := time.Now()
	if err := b.examine(ctx); err != nil {
		return err
	}
	b.seen.Store(&begin)
	return nil
}

// where is the server in words, without secrets.
func (b *Broker) where() string {
	if b.options.InProcess != nil {
		return "the broker in this process"
	}
	if b.nc != nil {
		return b.nc.ConnectedUrlRedacted()
	}
	return redact(everywhere(b.options.URL))
}
