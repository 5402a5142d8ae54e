package rabbitmq

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

func TestAllServersAreTriedAndWhatIsCertainlyWrongIsSaid(t *testing.T) {
	var hosts []string
	var tried sync.WaitGroup
	for range 2 {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		hosts = append(hosts, l.Addr().String())
		tried.Go(func() { // ends once it was tried
			c, err := l.Accept()
			if err != nil {
				t.Errorf("Accept = %v; want a connection", err)
				return
			}
			if _, err := c.Write([]byte("no TLS here")); err != nil {
				t.Errorf("Write = %v; want nil", err)
			}
			_ = c.Close()
		})
	}
	_, err := Open(t.Context(), Options{URL: "amqps://127.0.0.1:1," + strings.Join(hosts, ",")})
	tried.Wait()
	if transport.CodeOf(err) != transport.FailedPrecondition || strings.Contains(err.Error(), "\n") {
		t.Errorf("Open = %v; want one line that begins with what is wrong with TLS", err)
	}
	for _, host := range append(hosts, "127.0.0.1:1") {
		if !strings.Contains(err.Error(), host) {
			t.Errorf("Open = %v; want it to tell of %s", err, host)
		}
	}
}

func TestASecureConnectionTrustsWhatTheURLNames(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	file := filepath.Join(t.TempDir(), "authority.pem")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	at := server.Listener.Addr().(*net.TCPAddr)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, c := range []struct {
		what    string
		options Options
		uri     amqp.URI
		ok      bool
	}{
		{"the URL's authority", Options{}, amqp.URI{CACertFile: file}, true},
		{"the option's authority", Options{TLS: &tls.Config{RootCAs: pool}}, amqp.URI{}, true},
		{"the system's authorities", Options{}, amqp.URI{}, false},
		{"another name", Options{}, amqp.URI{CACertFile: file, ServerName: "elsewhere"}, false},
		{"no such file", Options{}, amqp.URI{CACertFile: file + "x"}, false},
	} {
		c.uri.Scheme, c.uri.Host, c.uri.Port = "amqps", at.IP.String(), at.Port
		conn, err := (&dialer{options: c.options}).reach(ctx, &c.uri)
		if (err == nil) != c.ok || err != nil && !tlsTrouble(err) {
			t.Errorf("%s: reach = %v; want a connection %v, else an error about TLS", c.what, err, c.ok)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}
