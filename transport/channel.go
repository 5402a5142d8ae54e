package transport

import (
	"errors"
	"fmt"
	"hash/fnv"
	"time"
)

// Pattern says who gets a message of a channel.
type Pattern uint8

const (
	Queue  Pattern = 1 // one group of competing receivers; kept until handled, also while no receiver ever existed
	Topic  Pattern = 2 // a copy for each registered group, gone when handled
	Stream Pattern = 3 // kept by age or size; a group is a position in it
)

// String is "queue", "topic" or "stream".
func (p Pattern) String() string {
	switch p {
	case Queue:
		return "queue"
	case Topic:
		return "topic"
	case Stream:
		return "stream"
	}
	return fmt.Sprintf("pattern(%d)", uint8(p))
}

// Channel is the place of an address. Sender and receiver derive it from the contract and both declare it.
type Channel struct {
	Address    string
	Pattern    Pattern
	Partitions int // 0 = unordered; else order by Key inside [Channel.Partition], a number fixed for the channel's life
	// Retain and RetainBytes bound what is kept; 0 = no bound. For a Queue or Topic, Retain bounds what nobody has
	// handled yet; for a Stream, both bound the stream, which drops its oldest messages.
	Retain      time.Duration
	RetainBytes int64
}

// MaxPartitions is the largest Channel.Partitions that drivers accept.
const MaxPartitions = 256

// Partition is the partition of a key: FNV-1a (32 bits) of the key modulo Partitions, or -1 when c is unordered.
// Every sender computes it alike, also in other languages.
func (c Channel) Partition(key string) int {
	if c.Partitions == 0 {
		return -1
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // a hash never fails
	return int(h.Sum32() % uint32(c.Partitions))
}

// Validate reports everything wrong with c in one error.
func (c Channel) Validate() error {
	var errs []error
	if err := CheckAddress(c.Address); err != nil {
		errs = append(errs, err)
	}
	if c.Pattern < Queue || c.Pattern > Stream {
		errs = append(errs, fmt.Errorf("channel %s: %v: want queue, topic or stream", c.Address, c.Pattern))
	}
	if c.Partitions < 0 || c.Partitions > MaxPartitions {
		errs = append(errs, fmt.Errorf("channel %s: %d partitions: want 0 to %d", c.Address, c.Partitions, MaxPartitions))
	}
	if c.Retain < 0 || c.RetainBytes < 0 {
		errs = append(errs, fmt.Errorf("channel %s: negative retention", c.Address))
	}
	return errors.Join(errs...)
}
