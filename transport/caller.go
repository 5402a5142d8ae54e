package transport

import "context"

// Caller carries calls: a request to one peer, and its answer. All methods may be called concurrently.
type Caller interface {
	// Request sends e to a peer (as an Answer's ready gave it, or configured) and waits for the answer. ctx's
	// deadline travels with it as remaining time. An error is always an [*Error]; its NotSent says whether the peer
	// certainly did not begin to handle the request.
	Request(ctx context.Context, peer string, e *Envelope) (*Envelope, error)
	// Answer serves endpoints until ctx is done; then it takes no more requests, and returns nil once those that run
	// have ended. ready, if not nil, is called once with the peer under which others reach them. Several Answers may
	// run on one Caller; an address or route that is served already is an error, before anything is served.
	Answer(ctx context.Context, endpoints []Endpoint, ready func(peer string)) error
	// Close ends all Answers and Requests and frees everything. Closing twice is fine.
	Close(ctx context.Context) error
}

// Endpoint is an address as data, so that a driver can route and describe it.
type Endpoint struct {
	Address string
	// Method and Path bind the address to a REST route beside its own ("POST /orders/v1/get-quote"), Path as in
	// [net/http.ServeMux]: "/stock/{sku}". Both empty = none.
	Method, Path string
	// Bind puts what a REST route found in path and query into the body: it returns body with those fields
	// set. Only called for a route with Method and Path; nil = such values are refused.
	Bind func(body []byte, values map[string][]string) ([]byte, error)
	// Answer handles one request. Its context has the caller's deadline and ends when the caller gives up.
	// It does not end when the Answer's does: who holds requests for long has to let go of them when the service stops.
	// An error that is no [*Error] is answered as Internal, without its text. An answer may have a [Reply].
	Answer func(context.Context, *Envelope) (*Envelope, error)
}
