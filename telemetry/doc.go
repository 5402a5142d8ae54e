// Package telemetry tells OpenTelemetry what Parley does: a span for every call, message, attempt and run of an
// operation, in one trace for each story, and metrics. It knows the API of OpenTelemetry only; providers are given to
// [New], and nothing is global. Package parleyotel makes providers from the standard environment variables.
//
// Names are those of the semantic conventions 1.43: HTTP (stable), RPC (release candidate), messaging (development),
// whose names may change with a later version of this package. What they have no name for begins with "parley.".
//
// Spans have the ids of messages and operations as attributes, metrics never do. The labels of metrics are addresses,
// groups and services, the first 1000 names of a process (later ones are "_OTHER"), and words of closed sets. The one
// exception is http.client.request.duration, which has the host and port of each peer because its convention demands it.
package telemetry
