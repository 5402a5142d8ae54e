package rabbitmq_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/rabbitmq"
	"github.com/parley-io/parley/transport/transporttest"
)

// overTLS sends and receives messages of all sizes at once over a secure connection, whose records end anywhere in a frame.
func overTLS(t *testing.T, s *servers.Server) {
	address, trusted := secured(t, s)
	b := openWithOptions(t, rabbitmq.Options{URL: address, TLS: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS13}})
	c := channel(t, b, transport.Queue, 4)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	const senders, each = 16, 60
	random := rand.New(rand.NewPCG(1, 2))
	sent := make(map[string]*transport.Envelope)
	batches := make([][]*transport.Envelope, senders)
	for n := range senders * each {
		e := envelope(c, n)
		e.Body = nil
		e.Body = body(random, n, b.Features().MaxBytes-e.Size())
		sent[e.ID], batches[n%senders] = e, append(batches[n%senders], e)
	}
	var sending sync.WaitGroup
	for _, batch := range batches {
		sending.Go(func() {
			for _, r := range b.Send(t.Context(), batch) {
				if r.Err != nil {
					t.Errorf("Send = %v; want nil", r.Err)
				}
			}
		})
	}
	for range senders * each {
		d := x.Next()
		want := sent[d.Envelope.ID]
		if want == nil {
			t.Fatalf("%s came; want each message that was sent, once", d.Envelope.ID)
		}
		for _, what := range transporttest.Differences(want, d.Envelope) {
			t.Errorf("%s of %d bytes: %s", want.ID, len(want.Body), what)
		}
		delete(sent, want.ID)
		d.Settle(transport.Done)
	}
	sending.Wait()
	x.Stop()
}

// body is one of 1 B to as much as is left; sizes around those of frames and records are among them.
func body(random *rand.Rand, n, most int) []byte {
	sizes := []int{1, 4096, 16383, 16384, 16385, 128<<10 - 8, 128<<10 - 7, 128 << 10, most - 1, most}
	size := 1 + random.IntN(64<<10)
	if n%5 == 0 {
		size = sizes[n/5%len(sizes)]
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// secured is a URL of something in front of the server that speaks TLS, and the authority that vouches for it.
func secured(t *testing.T, s *servers.Server) (string, *x509.CertPool) {
	t.Helper()
	keys := httptest.NewTLSServer(nil) // of which the certificate alone is used
	t.Cleanup(keys.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(keys.Certificate())
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: keys.TLS.Certificates, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			passing.Go(func() { passOn(t, client, u.Host) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		passing.Wait()
	})
	return strings.NewReplacer("amqp://", "amqps://", u.Host, l.Addr().String()).Replace(s.URL), trusted
}

// passOn passes on what a client and a server say, until either ends.
func passOn(t *testing.T, client net.Conn, address string) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Errorf("reaching the server: %v; want nil", err)
		return
	}
	defer server.Close()
	var ways sync.WaitGroup
	for to, from := range map[net.Conn]net.Conn{client: server, server: client} {
		ways.Go(func() {
			_, _ = io.Copy(to, from) // ends with either
			_ = to.Close()
			_ = from.Close()
		})
	}
	ways.Wait()
}
