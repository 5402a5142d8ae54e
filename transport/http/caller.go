package http

import (
	"context"
	"fmt"
	nethttp "net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/parley-io/parley/transport"
)

// Caller is a [transport.Caller] over HTTP/1.1. All methods may be called concurrently.
type Caller struct {
	options Options
	peers   *peers
	routes  atomic.Pointer[nethttp.ServeMux]

	requests gate // Requests that run
	answers  gate // Answers that run

	mu       sync.Mutex
	closing  chan struct{} // closed by the first Close
	pages    []page
	answered []*answering // in the order of their Answers; a drained one stays until others have its routes
	server   *listening   // nil = no listener was opened
}

var _ transport.Caller = (*Caller)(nil)

// New returns a Caller. It opens nothing: the listener comes with the first Answer, connections with the first Request.
// Its error lists everything that is wrong with o.
func New(o Options) (*Caller, error) {
	o, err := o.normal()
	if err != nil {
		return nil, fmt.Errorf("http caller: %w", err)
	}
	c := &Caller{options: o, peers: newPeers(o), closing: make(chan struct{})}
	mux, _, err := c.build(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("http caller: %w", err)
	}
	c.routes.Store(mux)
	return c, nil
}

// Handler serves everything that the Caller answers, now and later, and its pages, on whatever it is mounted. Under a
// prefix, wrap it in [net/http.StripPrefix] and give the prefix to Options.Advertise. The times and sizes of the
// listener's connections are then those of the server that it is mounted on; the limit of a body holds here too.
func (c *Caller) Handler() nethttp.Handler {
	var h nethttp.Handler = nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		c.routes.Load().ServeHTTP(w, r)
	})
	if c.options.Wrap != nil {
		h = c.options.Wrap(h)
	}
	return h
}

// Handle adds a page beside the calls: health, metrics. pattern is as in [net/http.ServeMux]; one that conflicts with
// what is served already is an error. A page may stream: the listener's limits of time do not hold for it once a
// request without a body has arrived. A nil h takes away the page that was added with the same pattern, which is an error
// when there is none; requests that it is answering go on. Pages stay until then, or until Close. They can be reached
// where Handler is mounted, and on the listener, which the first Answer opens.
func (c *Caller) Handle(pattern string, h nethttp.Handler) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	pages := slices.Clone(c.pages)
	if h != nil {
		pages = append(pages, page{pattern, unhurried(h)})
	} else if pages = slices.DeleteFunc(pages, func(p page) bool { return p.pattern == pattern }); len(pages) == len(c.pages) {
		return fmt.Errorf("http page: there is none of %q to take away", pattern)
	}
	mux, answered, err := c.build(pages, c.answered)
	if err != nil {
		return fmt.Errorf("http page: %w", err)
	}
	c.pages, c.answered = pages, answered
	c.routes.Store(mux)
	return nil
}

// Close ends Requests at once, as Unavailable with [transport.ErrClosed], and Answers as if their ctx were done: it
// waits for what they run until ctx is done, and then cuts the connections, which ends the contexts of those handlers.
// Its error says how many it did not wait for. On a mux that is not its own the routes go on saying "draining".
func (c *Caller) Close(ctx context.Context) error {
	c.mu.Lock()
	select {
	case <-c.closing:
	default:
		close(c.closing)
	}
	server := c.server
	c.mu.Unlock()
	if server == nil && c.options.Listener != nil {
		_ = c.options.Listener.Close() // nothing has been answered; at a second Close it is closed
	}

	requested, answered := c.requests.shut(), c.answers.shut()
	c.peers.close()
	if !ended(ctx, requested) || !ended(ctx, answered) {
		server.cut()
		return fmt.Errorf("http: close: %d Requests and %d Answers did not end in time: %w", c.requests.count(), c.answers.count(), context.Cause(ctx))
	}
	server.close(ctx)
	return nil
}

// open opens the listener if there is to be one and is none. It is called with the mutex held.
func (c *Caller) open(ctx context.Context) (err error) {
	select {
	case <-c.closing:
		return transport.ErrClosed
	default:
	}
	if c.options.Listen != "" && c.server == nil {
		c.server, err = listen(ctx, c.options, c.Handler())
	}
	return err
}

// peer is the URL under which others reach what is answered, "" when nobody said.
func (c *Caller) peer(server *listening) string {
	switch {
	case c.options.Advertise != "":
		return c.options.Advertise
	case server != nil:
		return "http://" + server.address.String()
	}
	return ""
}

// ended waits for done until ctx is done, and reports whether it is.
func ended(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
	}
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}
