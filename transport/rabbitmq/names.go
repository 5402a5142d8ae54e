package rabbitmq

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
)

// names derives what things are called on the server. Addresses and groups are words of a-z, 0-9, '-' and '.', so that
// ':', '_' and capitals are free for what must not collide with them.
type names struct{ prefix string }

// maxName keeps names and routing keys within the 255 bytes of AMQP, whatever is put around them.
const maxName = 160

// short is s, or a clear beginning of it with a hash where it is too long.
func short(s string) string {
	if len(s) <= maxName {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return s[:maxName-18] + "~" + hex.EncodeToString(sum[:8])
}

// exchange is where a channel's messages are published.
func (n names) exchange(address string) string { return n.prefix + "." + address }

// queue is where messages of a partition wait for a group; -1 = unordered. Group "" is the one group of a Queue, and
// for a Stream the stream itself; with a group, a Stream's queue holds the group's position.
func (n names) queue(address, group string, partition int) string {
	s := short(n.exchange(address) + suffix(group))
	if partition >= 0 {
		s += ":" + strconv.Itoa(partition)
	}
	return s
}

// members is the queue that each receiver of a group consumes from, so that they can be counted.
func (n names) members(address, group string) string {
	return short(n.exchange(address)+suffix(group)) + ":members"
}

// seen is the queue of a Stream's group and partition that shows the last position to people.
func (n names) seen(address, group string, partition int) string {
	return n.queue(address, group, partition) + ":position"
}

func suffix(group string) string {
	if group == "" {
		return ""
	}
	return ":" + group
}

// landing is the queue where what was delayed waits as long as a queue of bounded size is full.
func (n names) landing(queue string) string { return queue + ":LANDING" }

// key is the routing key of a partition in the channel's exchange: for all groups, or for one.
func key(partition int, group string) string {
	return strconv.Itoa(max(partition, 0)) + suffix(group)
}

// due is the exchange that takes what has waited long enough.
func (n names) due() string { return n.prefix + ".DELAY" }

// level is the exchange and the queue of one level of the ladder of delays.
func (n names) level(k int) string {
	if k < 0 {
		return n.due()
	}
	return n.due() + "." + strconv.Itoa(100 + k)[1:]
}

// near is the queue of what a mover waits for, of those for short rests the first. Its name has the longest rest.
func (n names) near(k int) string { return n.due() + "." + nearWord(k) }

// nearWord ends the routing key of what is for such a queue, and occurs in no other.
func nearWord(k int) string { return "NEAR." + strconv.Itoa(int(nearLimit(k)/time.Second)) }

// target is the routing key of what was delayed and is due. Its first word occurs nowhere else.
func (n names) target(c transport.Channel, partition int, group string) string {
	word := "TO."
	if c.Pattern == transport.Topic {
		word = topicWord
	}
	return word + short(strings.ReplaceAll(c.Address, ".", "_")+"/"+key(partition, group))
}

// topicWord begins the routing key of what is due on a Topic, which may have no group.
const topicWord = "TOPIC."

// partitions are those of a channel, -1 alone where it has none.
func partitions(c transport.Channel) []int {
	if c.Partitions == 0 {
		return []int{-1}
	}
	all := make([]int, c.Partitions)
	for i := range all {
		all[i] = i
	}
	return all
}
