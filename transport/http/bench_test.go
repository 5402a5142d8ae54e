//go:build unix

package http_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
)

var benchBody = []byte(`{"items":[{"sku":"tea","quantity":2},{"sku":"milk","quantity":1}],"customer":"c-1001"}`)

// BenchmarkCall compares a call with a POST that net/http carries alone: the same body, echoed by a handler that reads
// it whole, one kept connection for each in flight. An iteration is a batch of each, one after the other, so that what
// else the machine does hits both; "ratio" is the median of the batches' calls per second over net/http's, and
// "cpu-ratio" the same of processor time, which a busy machine disturbs less. wire=… give the allocations.
func BenchmarkCall(b *testing.B) {
	for _, concurrency := range []int{1, 16} {
		b.Run(fmt.Sprintf("c=%d", concurrency), func(b *testing.B) {
			theirs, ours := plain(b), parley(b)
			var wall, cpu []float64
			for b.Loop() {
				w1, c1 := batch(b, concurrency, theirs)
				w2, c2 := batch(b, concurrency, ours)
				wall, cpu = append(wall, w1/w2), append(cpu, c1/c2)
			}
			b.ReportMetric(median(wall), "ratio")
			b.ReportMetric(median(cpu), "cpu-ratio")
		})
	}
	b.Run("wire=nethttp", func(b *testing.B) { count(b, plain(b)) })
	b.Run("wire=parley", func(b *testing.B) { count(b, parley(b)) })
}

const batchSize = 800

// batch is the time that batchSize calls take, on the wall and of the processors, in seconds.
func batch(b *testing.B, concurrency int, call func() error) (wall, cpu float64) {
	started, used := time.Now(), processorTime(b)
	var all sync.WaitGroup
	for range concurrency {
		all.Go(func() {
			for range batchSize / concurrency {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(started).Seconds(), (processorTime(b) - used).Seconds()
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func count(b *testing.B, call func() error) {
	b.ReportAllocs()
	for b.Loop() {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
}

// plain is what one writes without a toolkit.
func plain(b *testing.B) func() error {
	mux := nethttp.NewServeMux()
	mux.HandleFunc("POST /orders/v1/get-quote", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		body, err := io.ReadAll(nethttp.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			w.WriteHeader(nethttp.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	server := &nethttp.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t := nethttp.DefaultTransport.(*nethttp.Transport).Clone()
	t.MaxIdleConnsPerHost = 256
	client := &nethttp.Client{Transport: t}
	b.Cleanup(func() {
		t.CloseIdleConnections()
		_ = server.Close()
		<-ended
	})
	url := "http://" + l.Addr().String() + "/orders/v1/get-quote"
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodPost, url, bytes.NewReader(benchBody))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		response, err := client.Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || len(body) != len(benchBody) {
			return fmt.Errorf("got %d bytes, %v; want %d", len(body), err, len(benchBody))
		}
		return nil
	}
}

// parley is the same with everything that a call's envelope holds.
func parley(b *testing.B) func() error {
	server, err := http.New(http.Options{Listen: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	client, err := http.New(http.Options{})
	if err != nil {
		b.Fatal(err)
	}
	peers, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- server.Answer(context.Background(), []transport.Endpoint{endpoint(quote, echo)}, func(peer string) { peers <- peer })
	}()
	peer := <-peers
	b.Cleanup(func() {
		_ = client.Close(context.Background())
		_ = server.Close(context.Background())
		<-ended
	})
	now := time.Now()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		answer, err := client.Request(ctx, peer, &transport.Envelope{
			ID: "0197a3f0-7b1c-7cc0-8d5e-5a2f3b1c9d10", Source: "shop", Address: quote, Time: now,
			Correlation: "0197a3f0-7b1c-7cc0-8d5e-5a2f3b1c9d0f",
			Trace:       "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Body: benchBody,
		})
		if err != nil {
			return err
		}
		if len(answer.Body) != len(benchBody) {
			return fmt.Errorf("got %d bytes; want %d", len(answer.Body), len(benchBody))
		}
		return nil
	}
}
