package node

import (
	"fmt"
	nethttp "net/http"
	"strconv"
	"strings"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
)

// servePages adds what people read beside the calls: what this is, and whether it lives.
func servePages(n *parley.Network, info Info) error {
	calls, ok := network.HTTP(n)
	if !ok {
		return fmt.Errorf("pages of %s: its calls are not HTTP", n.Name)
	}
	for _, page := range []struct{ pattern, text string }{
		{"GET /{$}", front(info)},
		{"GET /livez", "ok\n"},
		{"GET /readyz", "ok\n"}, // nothing is served before everything is ready
	} {
		err := calls.Handle(page.pattern, nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write([]byte(page.text)) // who does not read it has gone
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

// front says what can be asked for here.
func front(info Info) string {
	return strings.ReplaceAll(`parley dev, process `+strconv.Itoa(info.PID)+`

  curl URL/v1/messages/ID            what became of a message or call, and of whatever it caused; ?wait=20s
  curl URL/v1/failed                 dead letters by cause
  curl URL/v1/failed/ID              the dead letters of one message, with their bodies
  curl URL/v1/redrives -d '{"cause":1}'   tries them again
  curl URL/v1/stats                  counts

On the command line: parley ps, parley follow ID, parley failed, parley --help
`, "URL", info.HTTP)
}
