package embedded

import (
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
)

// Status is what a [Server] keeps, and how much more it may.
type Status struct {
	Bytes    int64 // on disk, of all channels together
	Messages int64 // of all channels together
	// Limit of Bytes: what would exceed it is refused. It is Options.MaxBytes, or less while the disk is nearly full.
	Limit int64
	// Free is what the disk has left, a reserve included that messages may not use; -1 = this system does not tell.
	Free int64
	// Trouble is why nothing is stored at the moment, a sentence for people; "" = all is well. The broker ends it by
	// itself once its cause is gone.
	Trouble string
}

// Status tells how it is now. Of a server that is being started anew, or is closed, it tells the Trouble only.
func (s *Server) Status() Status {
	s.mu.Lock()
	now, away := s.now, s.away
	s.mu.Unlock()
	status := Status{Limit: s.limit.Load(), Free: -1}
	if r, err := s.look(s.options.StoreDir); err == nil {
		status.Free = r.free
	}
	if away != nil {
		status.Trouble = away.Error()
		return status
	}
	kept, err := now.Jsz(nil)
	if err != nil || kept.Disabled {
		status.Trouble = storageOff
		return status
	}
	status.Bytes, status.Messages = int64(kept.Store), int64(kept.Messages)
	if status.Bytes >= status.Limit {
		status.Trouble = fmt.Sprintf("full: it may keep %d bytes: handle or remove messages, or make room on the disk", status.Limit)
	}
	return status
}

// allowed is how much a running server may keep now.
func (s *Server) allowed(n *server.Server, r room) int64 {
	return r.limit(int64(n.GlobalAccount().JetStreamUsage().Store), s.most)
}

// bound sets how much a running server may keep.
func (s *Server) bound(n *server.Server, limit int64) error {
	s.limit.Store(limit)
	return n.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": {
		MaxMemory: -1, MaxStore: limit, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1,
		MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
	}})
}
