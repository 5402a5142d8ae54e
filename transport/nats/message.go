package nats

import (
	"strconv"

	natsio "github.com/nats-io/nats.go"
)

// message is a message as it is written, of which this package owns the headers.
type message struct{ natsio.Msg }

const (
	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
)

func (m *message) publish(nc *natsio.Conn, reply string) error {
	m.Reply = reply
	return nc.PublishMsg(&m.Msg)
}

func (m *message) inBatch(id string, sequence int) {
	m.Header[batchID] = []string{id}
	m.Header[batchSequence] = []string{strconv.Itoa(sequence)}
}

func (m *message) commit() { m.Header[batchCommit] = []string{"1"} }

func (m *message) alone() {
	delete(m.Header, batchID)
	delete(m.Header, batchSequence)
	delete(m.Header, batchCommit)
}
