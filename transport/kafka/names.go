package kafka

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/parley-io/parley/transport"
)

// names derives what things are called in the cluster. Addresses and groups are words of a-z, 0-9 and '-', so that
// capitals and '_' are free for what must not collide with them.
type names struct{ prefix string }

func (n names) topic(address string) string { return n.prefix + "." + address }
func (n names) delay() string               { return n.prefix + ".DELAY" }
func (n names) registry() string            { return n.prefix + ".REGISTRY" }

// carrier is the transactional id of who carries delayed messages of a partition to their channels.
func (n names) carrier(partition int32) string { return n.delay() + "." + strconv.Itoa(int(partition)) }

// group is the consumer group of a channel's group; "_" is a Queue's one group.
func (n names) group(c transport.Channel, group string) string {
	if c.Pattern == transport.Queue {
		group = "_"
	}
	return n.topic(c.Address) + "." + group
}

// partitions is how many partitions the topic of a channel has. An unordered Stream has one, so that its positions are
// one after the other.
func partitions(c transport.Channel) int {
	switch {
	case c.Partitions > 0:
		return c.Partitions
	case c.Pattern == transport.Stream:
		return 1
	}
	return UnorderedPartitions
}

// identity is what a message is the same by. Neither an address nor an id nor a group has a space.
func identity(e *transport.Envelope) string {
	return e.Address + " " + e.ID + " " + e.Group + " " + e.Copy
}

// sameID reports whether an identity is of some copy of a message.
func sameID(identity, address, id string) bool {
	return strings.HasPrefix(identity, address+" "+id+" ")
}

// delayPartitions is fixed for ever: all copies of an ID wait in one partition.
const delayPartitions = 4

func delayPartition(address, id string) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(address + " " + id)) // a hash never fails
	return int32(h.Sum32() % delayPartitions)
}
