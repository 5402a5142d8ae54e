package main

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers what it gets, until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // ends with l
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return l.Addr().String()
}

func through(t *testing.T) (*proxy, net.Conn) {
	t.Helper()
	p, err := newProxy()
	if err != nil {
		t.Fatal(err)
	}
	p.to(echo(t))
	t.Cleanup(p.close)
	c, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	wantEcho(t, c)
	return p, c
}

func wantEcho(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	_, err := c.Write([]byte("ping"))
	if _, err2 := io.ReadFull(c, b); string(b) != "ping" || err != nil || err2 != nil {
		t.Errorf("echo = %q, %v, %v; want ping", b, err, err2)
	}
}

func TestASilentNetworkHoldsBackAndDeliversLater(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]weather{
		"both ways":       {up: way{silent: true}, down: way{silent: true}},
		"to the broker":   {up: way{silent: true}},
		"from the broker": {down: way{silent: true}},
	} {
		p, c := through(t)
		p.set(w)
		if _, err := c.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4)
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: read %d bytes, %v; want nothing", name, n, err)
		}
		p.set(weather{})
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadFull(c, b); string(b) != "late" || err != nil {
			t.Errorf("%s: read %q, %v afterwards; want late", name, b, err)
		}
	}
}

func TestANetworkThatResetsEndsConnectionsUntilItIsMended(t *testing.T) {
	t.Parallel()
	p, c := through(t)
	p.set(weather{reset: true})
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v; want the end of the connection", n, err)
	}
	if again, err := net.Dial("tcp", p.address()); err == nil {
		_ = again.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := again.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a new connection: read %d bytes, %v; want its end", n, err)
		}
		again.Close()
	}
	p.set(weather{})
	mended, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	defer mended.Close()
	wantEcho(t, mended)
}

func TestASlowNetworkTakesItsTime(t *testing.T) {
	t.Parallel()
	p, c := through(t)
	p.set(weather{up: way{delay: 50 * time.Millisecond}, down: way{rate: 80}})
	began := time.Now()
	wantEcho(t, c)
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("4 bytes there in 50 ms and back at 80 bytes/s took %v; want 100 ms or more", took)
	}
}
