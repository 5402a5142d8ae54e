package servers_test

import (
	"context"
	"testing"
	"time"

	"github.com/parley-io/parley/internal/servers"
)

func TestAWipedServerServesWithoutWhatItHad(t *testing.T) {
	t.Parallel()
	for _, kind := range servers.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			client, ctx := clients[kind], soon(t)
			s := start(t, kind, servers.Options{})
			if err := client.put(ctx, s.URL, "lost"); err != nil {
				t.Fatal(err)
			}
			if err := s.Wipe(ctx); err != nil {
				t.Fatal(err)
			}
			brief, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			if text, err := client.get(brief, s.URL); err == nil {
				t.Errorf("get after Wipe = %q; want an error, as nothing is there", text)
			}
			if err := client.put(ctx, s.URL, "new"); err != nil {
				t.Fatal(err)
			}
			if text, err := client.get(ctx, s.URL); text != "new" || err != nil {
				t.Errorf("get of what was put after Wipe = %q, %v; want new", text, err)
			}
		})
	}
}
