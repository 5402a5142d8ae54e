// Package http carries calls over HTTP/1.1 with JSON bodies, so that curl and any language can make and answer them.
// It is a [transport.Caller]; what it serves is a [net/http.Handler] that mounts in anybody's mux.
//
// # Requests
//
// The address orders.v1.get-quote is the path /orders/v1/get-quote; a call is a POST of its body:
//
//	curl -d '{"items":[{"sku":"tea","quantity":2}]}' http://127.0.0.1:8080/orders/v1/get-quote
//
// Everything but the body is optional:
//
//	Content-Type        of the body. Missing, text/*, multipart/form-data and application/x-www-form-urlencoded (which
//	                    curl -d says) are read as JSON, unless a web page of another origin sent the request: a
//	                    browser asks nobody before it sends these.
//	ce-*                the envelope as a CloudEvents event in binary mode. They are claims: nothing here checks who
//	                    sent them, and the path alone says which address is meant.
//	Idempotency-Key     the ID, where there is no ce-id: 1 to 128 visible ASCII characters, quoted or not; any other
//	                    is refused. Without both an ID is made and returned as Parley-Message-Id.
//	Operation-Id        another name for Idempotency-Key; both with different keys are refused.
//	Request-Timeout-Ms  the time that the caller still waits. The handler gets the smaller of this and
//	                    [Options.MaxTimeout]. Under 2 ms the request is refused with 504 and no handler runs.
//	Prefer              as in RFC 7240, for the handler, as [transport.HeaderPrefer]; it wins over ce-prefer. What a
//	                    "wait" may ask for ends with the handler's time, see Request-Timeout-Ms.
//	If-None-Match       as in RFC 9110, for the handler, as [transport.HeaderIfNoneMatch].
//	Retry-Attempt       how many attempts came before this one, where there is no ce-parleyattempt.
//	traceparent         W3C trace context, with tracestate and baggage; each wins over its ce- twin, because whoever
//	                    passed the request on changes the header only. What is malformed is ignored.
//
// A REST route takes fields from path and query too. The address's own path takes them from the body only and refuses
// a query.
//
// # Answers
//
// An answer has status 200, or 204 when it has no body, or what its [transport.Reply] says: another 2xx or 304, with
// Location (and Operation-Location, the same), Retry-After, ETag and Preference-Applied (with Vary: Prefer). A path in
// Location becomes absolute by the name that the request asked for; behind a proxy that ends TLS or a prefix, by
// Options.Advertise, if the proxy keeps the Host. X-Forwarded headers are not believed.
//
// An error is a problem document (RFC 9457):
//
//	{"type":"urn:parley:error:orders.v1.out-of-stock","title":"orders.v1.out-of-stock","status":400,
//	 "detail":"2 left","code":"failed-precondition","name":"orders.v1.out-of-stock","details":{"left":2}}
//
// code is the [transport.Code] and decides; the status is for everybody else, as google.rpc maps it to HTTP:
//
//	invalid-argument     400, or 422 with the member fields; 413 for a body above the limit; 415
//	failed-precondition  400: 412 is about If-Match
//	unauthenticated      401
//	permission-denied    403
//	not-found            404
//	already-exists       409
//	aborted              409
//	resource-exhausted   429
//	canceled             499
//	internal, unknown    500
//	unimplemented        501; 404 for a path that nobody serves, 405 for a method
//	unavailable          503 with Retry-After
//	deadline-exceeded    504
//
// Two headers say what an error means for repeating: "Parley-Not-Begun: 1" that the request was certainly not begun,
// "Retry-Pushback: never" that the callee retried in vain and nobody should again. An answer without a code comes from
// a proxy or a stranger and is mapped by its status.
//
// Redirects are not followed, proxies of the environment are not used, compressed bodies are refused.
package http
