package transporttest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echoed is a connection through a link to a server that says again whatever it hears, line by line.
type echoed struct {
	net.Conn
	lines  *bufio.Reader
	server chan net.Conn // the other ends
}

func dialEcho(t *testing.T) (*link, *echoed) {
	t.Helper()
	server, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(0, Options{})
	accepted := make(chan net.Conn, 10)
	s.Go(func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			accepted <- c
			s.Go(func() {
				_, _ = io.Copy(c, c)
				c.Close()
			})
		}
	})
	l := s.link()
	t.Cleanup(func() {
		server.Close()
		s.end(context.Background())
		if found := summarize(s.found); found != "" {
			t.Errorf("the end of a link: %s", found)
		}
	})
	c, err := net.Dial("tcp", l.to(t.Context(), server.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return l, &echoed{c, bufio.NewReader(c), accepted}
}

// says writes a line and gives what comes back before the limit.
func (e *echoed) says(t *testing.T, line string, limit time.Duration) (string, error) {
	t.Helper()
	if _, err := io.WriteString(e, line+"\n"); err != nil {
		return "", err
	}
	if err := e.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return e.lines.ReadString('\n')
}

func (e *echoed) wantEcho(t *testing.T, line string) {
	t.Helper()
	if got, err := e.says(t, line, time.Minute); err != nil || got != line+"\n" {
		t.Fatalf("%q came back as %q, %v; want it unchanged", line, got, err)
	}
}

func TestALinkIsAGoodNetworkUntilItIsToldOtherwise(t *testing.T) {
	t.Parallel()
	l, e := dialEcho(t)
	e.wantEcho(t, "good")
	l.become(condition{"slow", 4, func() time.Duration { return 20 * time.Millisecond }})
	began := time.Now()
	e.wantEcho(t, "twelve bytes") // 13 with the end of the line: 4 pieces each way
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("13 bytes in pieces of 4, each 20 ms late, took %v there and back; want 100ms at the least", took)
	}
	l.become(condition{})
	e.wantEcho(t, "good again")
}

func TestACutLinkBreaksBothEnds(t *testing.T) {
	t.Parallel()
	l, e := dialEcho(t)
	e.wantEcho(t, "first")
	l.cut()
	if got, err := e.says(t, "second", time.Minute); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after a cut: got %q, %v; want an error of a broken connection", got, err)
	}
	server := <-e.server
	if err := server.SetDeadline(time.Now().Add(time.Minute)); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := server.Write([]byte("x")); err == nil {
		if _, err = server.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the other end after a cut: %v; want it broken too", err)
		}
	}
}

func TestASilentDirectionTellsNobody(t *testing.T) {
	t.Parallel()
	for _, d := range []direction{toBroker, toDriver} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			l, e := dialEcho(t)
			e.wantEcho(t, "first")
			if n := l.silence(d); n != 1 {
				t.Errorf("silence = %d; want 1 connection", n)
			}
			if got, err := e.says(t, "second", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("over a silent connection: got %q, %v; want nothing, and no end either", got, err)
			}
			e.Close()
			server := <-e.server
			if d == toBroker { // the good-bye does not arrive
				if err := server.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
					t.Errorf("the server's end: %v; want it open, as it cannot know", err)
				}
			}
			again, err := net.Dial("tcp", e.RemoteAddr().String())
			if err != nil {
				t.Fatalf("a new connection: %v; want it as good as ever", err)
			}
			defer again.Close()
			(&echoed{again, bufio.NewReader(again), e.server}).wantEcho(t, "anew")
		})
	}
}
