package network

import (
	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
)

// keeping is a broker in this process, with the server that it talks to.
type keeping struct {
	*nats.Broker
	server *embedded.Server
}

// Kept is what the embedded broker of a network keeps, and how much more it may; ok is false where the broker is elsewhere,
// or keeps nothing.
func Kept(n *parley.Network) (kept embedded.Status, ok bool) {
	k, ok := n.Operator.(keeping)
	if !ok {
		return kept, false
	}
	return k.server.Status(), true
}
