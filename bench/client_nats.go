package main

import (
	"context"
	"errors"
	"net/url"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport/nats/embedded"
)

// natsClient is nats.go as one would write it for speed: a stream in a file for each queue, messages without headers
// or ids, and a consumer that is given many at once.
type natsClient struct {
	natsStreams
}

// natsPull is how many messages wait in a consumer.
const natsPull = 1000

func openNATS(ctx context.Context, address string) (client, error) {
	s, err := dialNATS(ctx, address)
	if err != nil {
		return nil, err
	}
	return &natsClient{s}, nil
}

// openNATSWorkQueue is the same with streams that hold a message until it is acknowledged.
func openNATSWorkQueue(ctx context.Context, address string) (client, error) {
	s, err := dialNATS(ctx, address)
	if err != nil {
		return nil, err
	}
	s.retention = jetstream.WorkQueuePolicy
	return &natsClient{s}, nil
}

func (c *natsClient) publish(ctx context.Context, q queue, _ string, body []byte) error {
	_, err := c.js.Publish(ctx, q.name, body)
	return err
}

// consume handles one message after the other, and acknowledges each.
func (c *natsClient) consume(ctx context.Context, q queue, in intake) error {
	consumer, err := c.js.CreateConsumer(ctx, q.name, jetstream.ConsumerConfig{
		Durable: "bench", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 10 * natsPull,
	})
	if err != nil {
		return err
	}
	var failed error // written by one goroutine, read once it has ended
	running, err := consumer.Consume(func(m jetstream.Msg) {
		in.handle(m.Data())
		failed = errors.Join(failed, m.Ack())
	}, jetstream.PullMaxMessages(natsPull))
	if err != nil {
		return err
	}
	in.ready()
	<-ctx.Done()
	running.Stop()
	<-running.Closed()
	return failed
}

// natsStreams makes and deletes streams.
type natsStreams struct {
	server *embedded.Server // nil = it is another process
	url    string           // of that
	conn   *nats.Conn
	js     jetstream.JetStream

	retention jetstream.RetentionPolicy // the zero value keeps what is acknowledged
}

// dialNATS connects to nats://…, or to a server of its own in this process for embedded://DIR.
func dialNATS(ctx context.Context, address string) (s natsStreams, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return s, err
	}
	s.url = address
	if u.Scheme == "embedded" {
		if s.server, err = embedded.Start(ctx, embedded.Options{Dir: u.Path}); err != nil {
			return s, err
		}
	}
	if s.conn, err = s.dial(); err == nil {
		s.js, err = jetstream.New(s.conn)
	}
	if err != nil {
		return s, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// dial makes one more connection.
func (s natsStreams) dial() (*nats.Conn, error) {
	if s.server != nil {
		return nats.Connect("", nats.InProcessServer(s.server))
	}
	return nats.Connect(s.url)
}

func (s natsStreams) create(ctx context.Context, q queue) error {
	_, err := s.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: q.name, Subjects: []string{q.name}, Storage: jetstream.FileStorage, Retention: s.retention,
	})
	return err
}

func (s natsStreams) remove(ctx context.Context, q queue) error {
	return s.js.DeleteStream(ctx, q.name)
}

func (s natsStreams) close(ctx context.Context) error {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.server == nil {
		return nil
	}
	return s.server.Close(ctx)
}
