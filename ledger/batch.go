package ledger

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Format is the version of a batch that this package writes, and the newest that it reads.
const Format = 1

// Batch is what one process reports at once: the body of one message on [Stream]. A Writer numbers its batches from
// 1 without a hole; a number that nobody ever sees is a gap.
type Batch struct {
	Version int       `json:"v"`
	Process string    `json:"process"` // unique for each Writer
	Number  uint64    `json:"n"`
	At      time.Time `json:"at"` // when it was closed; nothing in it is later
	// Dropped counts the transitions that this process has given up so far.
	Dropped uint64 `json:"dropped,omitzero"`
	// Last is true for the final batch of a process that ended orderly.
	Last        bool         `json:"last,omitzero"`
	Transitions []Transition `json:"transitions"`
}

// ParseBatch reads the body of a message on [Stream]. Members that it does not know are ignored, a newer Version is
// an error.
func ParseBatch(body []byte) (Batch, error) {
	var b Batch
	if err := json.Unmarshal(body, &b); err != nil {
		return Batch{}, fmt.Errorf("ledger batch of %d bytes: %w", len(body), err)
	}
	if b.Version < 1 || b.Version > Format {
		return Batch{}, fmt.Errorf("ledger batch of process %q: format %d, this program reads 1 to %d: update it", b.Process, b.Version, Format)
	}
	if b.Process == "" || b.Number == 0 {
		return Batch{}, fmt.Errorf("ledger batch of process %q with number %d: want a name and a number from 1", b.Process, b.Number)
	}
	return b, nil
}

// batchHead is a Batch without its transitions, for a writer that has them encoded already.
type batchHead struct {
	Version int       `json:"v"`
	Process string    `json:"process"`
	Number  uint64    `json:"n"`
	At      time.Time `json:"at"`
	Dropped uint64    `json:"dropped,omitzero"`
	Last    bool      `json:"last,omitzero"`
}

// appendBatch encodes a batch whose transitions are JSON values joined by commas.
func appendBatch(dst []byte, head batchHead, transitions []byte) ([]byte, error) {
	h, err := json.Marshal(head, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, err
	}
	dst = append(dst, h[:len(h)-1]...)
	dst = append(dst, `,"transitions":[`...)
	dst = append(dst, transitions...)
	return append(dst, "]}"...), nil
}
