package embedded

import (
	"bufio"
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAServerThatCannotWriteIsStartedAnew(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var said []string
	s, err := Start(t.Context(), Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Token: "a-token-of-some-length", Warn: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, line)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
	}()
	if why := s.ailment(); why != "" {
		t.Errorf("ailment of a new server = %q; want none", why)
	}
	before := s.URL()
	if err := s.now.DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	if s.ailment() == "" {
		t.Error("no ailment without storage; want one")
	}
	s.restart()
	if why := s.ailment(); why != "" {
		t.Errorf("ailment after the restart = %q; want none", why)
	}
	if s.URL() != before {
		t.Errorf("URL after the restart = %s; want %s as before", s.URL(), before)
	}
	conn, err := s.InProcessConn()
	if err != nil {
		t.Fatalf("InProcessConn = %v; want nil", err)
	}
	defer conn.Close()
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "INFO ") {
		t.Errorf("the new server said %q, %v; want INFO", line, err)
	}
}
