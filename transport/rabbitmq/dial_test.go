package rabbitmq

import (
	"net"
	"strings"
	"sync"
	"testing"

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
