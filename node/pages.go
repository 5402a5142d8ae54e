package node

import (
	"fmt"
	nethttp "net/http"
	"strconv"
	"strings"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
)

// servePages adds what people read beside the calls; the network itself says whether it lives.
func servePages(n *parley.Network, name string, info Info) error {
	calls, ok := network.HTTP(n)
	if !ok {
		return fmt.Errorf("pages of %s: its calls are not HTTP", n.Name)
	}
	return calls.Handle("GET /{$}", nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(front(name, info))) // who does not read it has gone
	}))
}

// front says what can be asked for here.
func front(name string, info Info) string {
	return strings.ReplaceAll(`parley `+name+`, process `+strconv.Itoa(info.PID)+`

  curl URL/v1/messages/ID            what became of a message or call, and of whatever it caused; ?wait=20s
  curl URL/v1/failed                 dead letters by cause
  curl URL/v1/failed/ID              the dead letters of one message, with their bodies
  curl URL/v1/redrives -d '{"cause":1}'   tries them again
  curl URL/v1/stats                  counts
  curl URL/v1/broker                 what an embedded broker keeps, and its limits

  curl URL/v1/operations             operations of the owners that run; ?status=open&address=ADDRESS&limit=20
  curl URL/v1/operations/ADDRESS -d '{…}' -H 'Idempotency-Key: ID'
                                     starts one, also while its owner is away; -H 'Prefer: wait=10' waits for it
  curl URL/v1/operations/ADDRESS/ID  how far it is; -H 'Prefer: wait=10' waits for its end
  curl -X POST URL/v1/operations/ADDRESS/ID:cancel
                                     also ID:signal?name=NAME -d '{…}', and ID:retry of a parked one

On the command line: parley ps, parley follow ID, parley failed, parley operations, parley --help
`, "URL", info.HTTP)
}
