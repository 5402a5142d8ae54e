package rabbitmq_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

// publishers wait each for its own confirmation.
const publishers = 64

// BenchmarkPublish sends 200 bytes from 64 goroutines to a quorum queue, each waiting for its confirmation: with the
// client library alone, with the same headers, and with this driver.
func BenchmarkPublish(b *testing.B) {
	s, err := servers.Use(b.Context(), servers.RabbitMQ)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Stop(b.Context()); err != nil {
			b.Error(err)
		}
	}()
	b.Run("raw", func(b *testing.B) { benchmarkRaw(b, s.URL) })
	b.Run("parley", func(b *testing.B) { benchmarkParley(b, s.URL) })
}

// share does something b.N times from all publishers.
func share(b *testing.B, do func(n int64) error) {
	b.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range publishers {
		all.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := do(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func benchmarkRaw(b *testing.B, url string) {
	conn, err := amqp.Dial(url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		b.Fatal(err)
	}
	const queue = "raw.bench"
	if _, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 200)
	share(b, func(n int64) error {
		d, err := ch.PublishWithDeferredConfirmWithContext(b.Context(), "", queue, true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, MessageId: fmt.Sprint(n), Body: body,
			Headers: amqp.Table{
				"cloudEvents:id": fmt.Sprint(n), "cloudEvents:source": "bench", "cloudEvents:type": "bench.publish",
				"cloudEvents:specversion": "1.0", "cloudEvents:subject": "k",
			},
		})
		if err == nil {
			_, err = d.WaitContext(b.Context())
		}
		return err
	})
	if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
		b.Error(err)
	}
}

func benchmarkParley(b *testing.B, url string) {
	broker := open(b, url)
	c := channel(b, broker, transport.Queue, 0)
	body := make([]byte, 200)
	share(b, func(n int64) error {
		e := &transport.Envelope{ID: fmt.Sprint(n), Source: "bench", Address: c.Address, Key: "k", Body: body}
		return broker.Send(b.Context(), []*transport.Envelope{e})[0].Err
	})
}

// BenchmarkReceive receives what is there already, with a handler that does nothing.
func BenchmarkReceive(b *testing.B) {
	s, err := servers.Use(b.Context(), servers.RabbitMQ)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Stop(b.Context()); err != nil {
			b.Error(err)
		}
	}()
	broker := open(b, s.URL)
	c := channel(b, broker, transport.Queue, 0)
	for n := 0; n < b.N; n += 500 {
		send(b, broker, c, n, min(n+500, b.N))
	}
	b.ResetTimer()
	x := transporttest.StartReceiving(b, broker, transport.Route{Channel: c, Credit: transport.NewCredit(2000)})
	x.Done(b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.StopTimer()
	x.Stop()
}
