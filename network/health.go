package network

import (
	"fmt"
	nethttp "net/http"
	"strings"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport/http"
)

// serveHealth adds the probes to what answers calls: /livez is 200 as long as the process answers at all, /readyz while
// every service of this process can take work, and the collector g, if not nil, knows what the ledger holds; it is 503 with
// the reasons before and after.
func serveHealth(n *parley.Network, calls *http.Caller, g *gathering) error {
	err := calls.Handle("GET /livez", nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		say(w, nethttp.StatusOK, "ok\n")
	}))
	if err != nil {
		return err
	}
	return calls.Handle("GET /readyz", nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		status := nethttp.StatusOK
		var lines strings.Builder
		show := func(name, reason string) {
			if reason == "" {
				fmt.Fprintf(&lines, "%s ready\n", name)
				return
			}
			status = nethttp.StatusServiceUnavailable
			fmt.Fprintf(&lines, "%s not ready: %s\n", name, reason)
		}
		for _, r := range n.Readiness() {
			if r.Ready {
				r.Reason = ""
			}
			show(r.Service, r.Reason)
		}
		if g != nil {
			show("collector", g.missing())
		}
		if status == nethttp.StatusOK {
			lines.WriteString("ok\n")
		}
		say(w, status, lines.String())
	}))
}

func say(w nethttp.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // who does not read it has gone
}
