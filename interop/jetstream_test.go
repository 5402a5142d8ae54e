package interop_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/cloudevents/sdk-go/protocol/nats_jetstream/v2"
	"github.com/nats-io/nats.go"
)

// jetStream is a stranger on NATS.
type jetStream struct {
	prefix string
	conn   *nats.Conn
	js     nats.JetStreamContext
}

func joinJetStream(url, prefix string) (stranger, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	js, err := conn.JetStream()
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &jetStream{prefix, conn, js}, nil
}

func (j *jetStream) stream(c channel) string {
	return j.prefix + "_" + strings.ReplaceAll(c.address, ".", "_")
}

func (j *jetStream) subject(c channel, partition string) string {
	return j.prefix + "." + strings.ReplaceAll(c.address, ".", "_") + "." + partition
}

func (j *jetStream) place(c channel, subject string) string {
	return j.subject(c, fmt.Sprint(c.partition(subject)))
}

func (j *jetStream) sender(c channel, subject string) (any, error) {
	return nats_jetstream.NewSenderFromConn(j.conn, j.stream(c), j.place(c, subject), nil)
}

// receiver is a durable consumer of all partitions. What is sent from then on waits for it.
func (j *jetStream) receiver(c channel) (any, error) {
	everything := j.subject(c, "*")
	_, err := j.js.AddConsumer(j.stream(c), &nats.ConsumerConfig{
		Durable: "stranger", FilterSubject: everything, DeliverPolicy: nats.DeliverNewPolicy, AckPolicy: nats.AckExplicitPolicy,
		DeliverSubject: nats.NewInbox(),
	})
	if err != nil {
		return nil, err
	}
	bind := []nats.SubOpt{nats.Bind(j.stream(c), "stranger")}
	return nats_jetstream.NewConsumerFromConn(j.conn, j.stream(c), everything, nil, bind)
}

func (j *jetStream) blurt(ctx context.Context, c channel, subject string, body []byte) error {
	_, err := j.js.Publish(j.place(c, subject), body, nats.Context(ctx))
	return err
}

// decoded undoes the percent-encoding of headers, which the SDK does not on NATS.
func (j *jetStream) decoded(attribute string) (string, error) { return url.PathUnescape(attribute) }

func (j *jetStream) close() { j.conn.Close() }
