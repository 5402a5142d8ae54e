package http_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
)

// counted is a server of handler that counts its connections.
func counted(t *testing.T, handler nethttp.HandlerFunc) (s *httptest.Server, connections *atomic.Int64) {
	connections = new(atomic.Int64)
	s = httptest.NewUnstartedServer(handler)
	s.Config.ConnState = func(_ net.Conn, state nethttp.ConnState) {
		if state == nethttp.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, connections
}

// scripted is a peer that reads a request on each connection and does what the script of that connection says.
func scripted(t *testing.T, scripts ...func(net.Conn, *bufio.Reader)) (peer string, requests *atomic.Int64) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests = new(atomic.Int64)
	var all sync.WaitGroup
	all.Go(func() {
		for _, script := range scripts {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = c.Close() }()
				r := bufio.NewReader(c)
				if _, err := nethttp.ReadRequest(r); err != nil {
					return
				}
				requests.Add(1)
				script(c, r)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return "http://" + l.Addr().String(), requests
}

// says writes an answer.
func says(text string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, _ *bufio.Reader) { _, _ = c.Write([]byte(text)) }
}

func TestAConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]nethttp.HandlerFunc{
		"answers":    func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = w.Write([]byte(`{}`)) },
		"no content": func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(nethttp.StatusNoContent) },
		"errors": func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			nethttp.Error(w, "no", nethttp.StatusServiceUnavailable)
		},
		"chunks": func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			_, _ = w.Write([]byte(`{`))
			_ = nethttp.NewResponseController(w).Flush()
			_, _ = w.Write([]byte(`}`))
		},
		"hints first": func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			w.WriteHeader(nethttp.StatusEarlyHints)
			_, _ = w.Write([]byte(`{}`))
		},
	} {
		s, connections := counted(t, handler)
		c := open(t, clientOnly)
		for range 20 {
			_, err := c.Request(within(t), s.URL, request("{}"))
			if e, _ := errors.AsType[*transport.Error](err); (e != nil) != (name == "errors") || e != nil && e.Code != transport.Unavailable {
				t.Fatalf("%s: Request = %v", name, err)
			}
		}
		if n := connections.Load(); n != 1 {
			t.Errorf("%s: 20 calls opened %d connections; want 1", name, n)
		}
	}
}

func TestAConnectionThatBrokeIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"it closes":             "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		"it says more":          "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 408 Request Timeout\r\n\r\n",
		"another protocol":      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"an older protocol":     "HTTP/1.0 204 No Content\r\n\r\n",
		"a body above the mark": "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\nxxx",
	} {
		peer, requests := scripted(t,
			func(c net.Conn, r *bufio.Reader) {
				says(first)(c, r)
				_, _ = r.ReadByte() // until the caller closes
			},
			says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
		c := open(t, clientOnly)
		_, _ = c.Request(within(t), peer, request(""))
		got, err := c.Request(within(t), peer, request(""))
		if err != nil || string(got.Body) != "{}" || requests.Load() != 2 {
			t.Errorf("%s: the next Request = %v, %v after %d requests; want an answer on a new connection", name, got, err, requests.Load())
		}
	}
}

func TestAKeptConnectionThatThePeerClosedIsReplaced(t *testing.T) {
	t.Parallel()
	closed := make(chan bool)
	peer, requests := scripted(t,
		func(c net.Conn, r *bufio.Reader) {
			says("HTTP/1.1 204 No Content\r\n\r\n")(c, r)
			_ = c.Close()
			close(closed)
		},
		says("HTTP/1.1 204 No Content\r\n\r\n"))
	c := open(t, clientOnly)
	for range 2 {
		if _, err := c.Request(within(t), peer, request("")); err != nil {
			t.Fatalf("Request = %v; want an answer", err)
		}
		<-closed
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("the peer saw %d requests; want 2", n)
	}
}

func TestARequestThatMayHaveBegunIsNotRepeated(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(net.Conn, *bufio.Reader){
		"closed without a word": func(net.Conn, *bufio.Reader) {},
		"cut in the header":     says("HTTP/1.1 200 OK\r\nContent-"),
		"cut in the body":       says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"),
		"no HTTP":               says("SSH-2.0-OpenSSH\r\n"),
		"a large header":        says("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10) + "\r\nContent-Length: 2\r\n\r\n{}"),
		"a header without end":  says("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 200<<10)),
	} {
		peer, requests := scripted(t, script, script, script)
		_, err := open(t, clientOnly).Request(within(t), peer, request(""))
		e, _ := errors.AsType[*transport.Error](err)
		if e == nil || e.Code != transport.Unavailable || e.NotSent || e.Peer != peer {
			t.Errorf("%s: Request = %#v; want unavailable, not NotSent", name, err)
		}
		if n := requests.Load(); n != 1 {
			t.Errorf("%s: the peer saw %d requests; want 1", name, n)
		}
	}
}

func TestAStrangersAnswersAreErrors(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		answer string
		code   transport.Code
		want   string
	}{
		{"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 17\r\n\r\n<h1>upstream</h1>", transport.Unavailable, "HTTP 502 Bad Gateway: <h1>upstream</h1>"},
		{"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2000000\r\n\r\nx", transport.Unavailable, "HTTP 502 Bad Gateway"},
		{"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/secret\r\nContent-Length: 0\r\n\r\n", transport.Unknown, "redirects are not followed"},
		{"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", transport.Unknown, "gzip"},
		{"HTTP/1.1 200 OK\r\nCe-Time: yesterday\r\nContent-Length: 2\r\n\r\n{}", transport.Unknown, "RFC 3339"},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + strings.Repeat("x", 1<<20+1), transport.ResourceExhausted, "limit of 1048576 bytes"},
	} {
		peer, _ := scripted(t, says(x.answer))
		_, err := open(t, clientOnly).Request(within(t), peer, request(""))
		e, _ := errors.AsType[*transport.Error](err)
		if e == nil || e.Code != x.code || e.NotSent || !strings.Contains(e.Message, x.want) {
			t.Errorf("%.40q: Request = %v; want %s with %q", x.answer, err, x.code, x.want)
		}
	}
}

func TestALargeBodyThatIsRefusedGetsItsAnswer(t *testing.T) {
	t.Parallel()
	small := open(t, http.Options{Listen: "127.0.0.1:0", MaxBody: 100 << 10})
	peer, _ := answer(t, small, endpoint(quote, echo))
	_, err := open(t, clientOnly).Request(within(t), peer, request(strings.Repeat("x", 200<<10)))
	e, _ := errors.AsType[*transport.Error](err)
	if e == nil || e.Code != transport.InvalidArgument || !strings.Contains(e.Message, "limit of 102400 bytes") {
		t.Errorf("Request = %v; want invalid-argument that names the limit", err)
	}
}

func TestManyCallsAtATimeGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	_, peer := serve(t, endpoint(quote, echo))
	c := open(t, clientOnly)
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			for j := range 50 {
				want := fmt.Sprintf(`"%d of %d"`, j, i)
				ctx, cancel := context.WithCancel(within(t))
				if j%10 == 9 {
					go cancel() // some give up, and must not disturb the others
				}
				got, err := c.Request(ctx, peer, request(want))
				cancel()
				switch e, _ := errors.AsType[*transport.Error](err); {
				case err == nil && string(got.Body) != want:
					t.Errorf("got %s; want %s", got.Body, want)
				case err != nil && (j%10 != 9 || e.Code != transport.Canceled):
					t.Errorf("Request %s = %v; want an answer", want, err)
				}
			}
		})
	}
	all.Wait()
}

func TestAPeerIsReachedByTLS(t *testing.T) {
	t.Parallel()
	c := open(t, clientOnly)
	s := httptest.NewUnstartedServer(c.Handler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	answer(t, c, endpoint(quote, echo))

	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	trusting := open(t, http.Options{TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}})
	for range 3 {
		if got, err := trusting.Request(within(t), s.URL, request("{}")); err != nil || string(got.Body) != "{}" {
			t.Errorf("Request = %v, %v; want the echo", got, err)
		}
	}
	_, err := c.Request(within(t), s.URL, request("{}"))
	e, _ := errors.AsType[*transport.Error](err)
	if e == nil || e.Code != transport.Unavailable || !e.NotSent || !strings.Contains(e.Error(), "certificate") {
		t.Errorf("of a stranger's certificate: Request = %v; want unavailable, NotSent, and why", err)
	}
}
