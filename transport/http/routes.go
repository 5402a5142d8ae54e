package http

import (
	"errors"
	"fmt"
	nethttp "net/http"
	"regexp"
	"strings"

	"github.com/parley-io/parley/transport"
)

// page is one handler that is no call.
type page struct {
	pattern string
	handler nethttp.Handler
}

// route is one way to one endpoint.
type route struct {
	caller    *Caller
	answering *answering
	endpoint  *transport.Endpoint
	pattern   string
	rest      bool     // takes fields from path and query
	wildcards []string // of the path
}

// build makes the table of what is served: pages, then those answered. A conflict with one that still takes requests
// is an error, a drained one gives way. It returns those that have a route left.
func (c *Caller) build(pages []page, answered []*answering) (*nethttp.ServeMux, []*answering, error) {
	mux := nethttp.NewServeMux()
	var errs []error
	for _, p := range pages {
		if err := register(mux, p.pattern, p.handler); err != nil {
			errs = append(errs, err)
		}
	}
	var live, drained, left []*answering
	for _, a := range answered {
		if a.running.isShut() {
			drained = append(drained, a)
		} else {
			live = append(live, a)
		}
	}
	owners := make(map[string]*transport.Endpoint)
	for _, a := range live {
		for _, r := range a.routes {
			if owner := owners[r.endpoint.Address]; owner != nil && owner != r.endpoint {
				errs = append(errs, fmt.Errorf("%s is answered already on this Caller", r.endpoint.Address))
				continue
			}
			owners[r.endpoint.Address] = r.endpoint
			if err := register(mux, r.pattern, r); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", r.endpoint.Address, err))
			}
		}
	}
	for _, a := range drained {
		kept := false
		for _, r := range a.routes {
			kept = register(mux, r.pattern, r) == nil || kept
		}
		if kept {
			left = append(left, a)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	// A page for everything takes the place of the problems about unknown paths and methods.
	_ = register(mux, "/", unknown(mux))
	return mux, append(left, live...), nil
}

// register is ServeMux.Handle with an error where that panics.
func register(mux *nethttp.ServeMux, pattern string, h nethttp.Handler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			why := registeredAt.ReplaceAllString(fmt.Sprint(v), "")
			err = fmt.Errorf("route %q cannot be served beside the others: %s", pattern, strings.ReplaceAll(why, "\n", " "))
		}
	}()
	mux.Handle(pattern, h)
	return nil
}

// registeredAt is where net/http names the line of code that registered a pattern: always the one above.
var registeredAt = regexp.MustCompile(` \(registered at [^)]*\)`)

// routesOf makes the routes of endpoints and reports everything that is wrong with them.
func (c *Caller) routesOf(a *answering, endpoints []transport.Endpoint) ([]*route, error) {
	var routes []*route
	var errs []error
	for i := range endpoints {
		ep := &endpoints[i]
		if err := transport.CheckAddress(ep.Address); err != nil {
			errs = append(errs, err)
			continue
		}
		if ep.Answer == nil {
			errs = append(errs, fmt.Errorf("%s: no Answer", ep.Address))
		}
		own := &route{caller: c, answering: a, endpoint: ep, pattern: "POST " + pathOf(ep.Address)}
		if ep.Method == "" && ep.Path == "" {
			routes = append(routes, own)
			continue
		}
		rest := &route{caller: c, answering: a, endpoint: ep, pattern: ep.Method + " " + ep.Path, rest: true, wildcards: wildcardsOf(ep.Path)}
		switch {
		case !methods[ep.Method] || !strings.HasPrefix(ep.Path, "/"):
			errs = append(errs, fmt.Errorf("%s: REST route %q: want a method and a path, as in \"GET /stock/{sku}\"", ep.Address, strings.TrimSpace(rest.pattern)))
		case len(rest.wildcards) > 0 && ep.Bind == nil:
			errs = append(errs, fmt.Errorf("%s: REST route %q: the path has fields and there is no Bind to take them", ep.Address, rest.pattern))
		}
		if rest.pattern != own.pattern {
			routes = append(routes, own)
		}
		routes = append(routes, rest)
	}
	return routes, errors.Join(errs...)
}

// pathOf is the path of an address. No two addresses share one, since their words hold no slash.
func pathOf(address string) string { return "/" + strings.ReplaceAll(address, ".", "/") }

// wildcardsOf are the names in a pattern's path: sku in "/stock/{sku}", rest in "/files/{rest...}".
func wildcardsOf(path string) (names []string) {
	for segment := range strings.SplitSeq(path, "/") {
		name, ok := strings.CutPrefix(segment, "{")
		if !ok {
			continue
		}
		if name = strings.TrimSuffix(strings.TrimSuffix(name, "}"), "..."); name != "$" {
			names = append(names, name)
		}
	}
	return names
}

// methods are those of REST routes; read only.
var methods = map[string]bool{
	nethttp.MethodGet: true, nethttp.MethodPost: true, nethttp.MethodPut: true, nethttp.MethodPatch: true, nethttp.MethodDelete: true,
}

// unknown answers what no route takes: 405 where another method is served, else 404. A POST to what could be an
// address is unimplemented, so that a caller can tell a service that has no such call from a thing that is not there.
func unknown(mux *nethttp.ServeMux) nethttp.HandlerFunc {
	return func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if allow := allowed(mux, r); allow != "" {
			w.Header()["Allow"] = []string{allow}
			writeProblem(w, &transport.Error{
				Code: transport.Unimplemented, NotSent: true,
				Message: fmt.Sprintf("%s is not served on %s, only %s", clip(r.Method, 80), clip(r.URL.Path, 200), allow),
			}, nethttp.StatusMethodNotAllowed)
			return
		}
		e := &transport.Error{Code: transport.NotFound, NotSent: true, Message: "nothing is served on " + clip(r.URL.Path, 200)}
		address := strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/"), "/", ".")
		if r.Method == nethttp.MethodPost && transport.CheckAddress(address) == nil {
			e.Code, e.Message = transport.Unimplemented, fmt.Sprintf("nobody answers %s here", address)
		}
		writeProblem(w, e, nethttp.StatusNotFound)
	}
}

// allowed lists the methods that r's path is served for.
func allowed(mux *nethttp.ServeMux, r *nethttp.Request) string {
	var found []string
	for _, m := range [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		_, pattern := mux.Handler(&nethttp.Request{Method: m, URL: r.URL, Host: r.Host})
		if pattern != "" && pattern != "/" {
			found = append(found, m)
		}
	}
	return strings.Join(found, ", ")
}
