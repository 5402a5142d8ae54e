package node

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
)

const (
	keptAddress = "parley.v1.broker"
	keptPath    = "/v1/broker"
)

// Kept is what the embedded broker of a node keeps, and how much more it may.
type Kept struct {
	Bytes    int64  `json:"bytes"` // on disk, of all channels together
	Messages int64  `json:"messages"`
	Limit    int64  `json:"limit"`            // of Bytes: what would exceed it is refused
	Free     int64  `json:"free"`             // what the disk has left; -1 = unknown
	Trouble  string `json:"trouble,omitzero"` // why nothing is stored at the moment; "" = all is well
}

// GetKept asks the node at peer. NotFound: its broker is elsewhere.
func GetKept(ctx context.Context, calls transport.Caller, peer string) (k Kept, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	answer, err := calls.Request(ctx, peer, &transport.Envelope{ID: rand.Text(), Address: keptAddress, ContentType: "application/json", Time: time.Now(), Body: []byte("{}")})
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(answer.Body, &k); err != nil {
		return k, &parley.Error{Code: parley.Internal, Address: keptAddress, Peer: peer, Message: "its answer can't be read", Cause: err}
	}
	return k, nil
}

// kept answers what the broker keeps.
func (d *door) kept(context.Context, *transport.Envelope) (*transport.Envelope, error) {
	s, ok := network.Kept(d.net)
	if !ok {
		return nil, &parley.Error{Code: parley.NotFound, Address: keptAddress, Message: "the broker of " + d.net.Name + " is elsewhere, and tells nothing of what it keeps"}
	}
	return answerJSON(Kept{Bytes: s.Bytes, Messages: s.Messages, Limit: s.Limit, Free: s.Free, Trouble: s.Trouble}, transport.Reply{})
}
