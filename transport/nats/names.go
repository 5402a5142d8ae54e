package nats

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/parley-io/parley/transport"
)

// names derives what things are called on the server. Addresses and groups are words of a-z, 0-9 and '-', so that '_'
// and capitals are free for what must not collide with them.
type names struct{ prefix string }

const (
	queueGroup  = "_"       // the durable consumer of a Queue's one group
	readerStart = "READER-" // ephemeral consumers of readers that leave nothing behind
	moverGroup  = "MOVER"   // the durable consumer that moves what is due to its channel
)

func token(address string) string { return strings.ReplaceAll(address, ".", "_") }

func (n names) stream(address string) string { return n.prefix + "_" + token(address) }
func (n names) delayStream() string          { return n.prefix + "_DELAY" }

// bucket is where it is written who has which partition; what people call it, its stream, and the subject of a key.
func (n names) bucket() string        { return n.prefix + "_owners" }
func (n names) bucketStream() string  { return "KV_" + n.bucket() }
func (n names) key(key string) string { return "$KV." + n.bucket() + "." + key }

func (n names) root(address string) string { return n.prefix + "." + token(address) }

// place is the subject of a partition, 0 where there are none.
func (n names) place(c transport.Channel, partition int) string {
	return n.root(c.Address) + "." + strconv.Itoa(partition)
}

// subject is where a message of a channel is published.
func (n names) subject(c transport.Channel, e *transport.Envelope) string {
	s := n.place(c, max(c.Partition(e.Key), 0))
	if e.Group != "" && c.Pattern != transport.Queue {
		s += ".g." + e.Group
	}
	return s
}

// subjects are all that a channel's stream takes: the server refuses what would be in no partition.
func (n names) subjects(c transport.Channel) (subjects []string) {
	for p := range max(c.Partitions, 1) {
		one := n.place(c, p)
		subjects = append(subjects, one)
		if c.Pattern != transport.Queue {
			subjects = append(subjects, one+".g.*")
		}
	}
	return subjects
}

// filters are the subjects that a group gets; "" = a reader, none = all of the stream, which costs the server least.
func (n names) filters(c transport.Channel, group string) []string {
	if c.Pattern == transport.Queue {
		return nil
	}
	all := []string{n.root(c.Address) + ".*"}
	if group != "" {
		all = append(all, n.root(c.Address)+".*.g."+group)
	}
	return all
}

// partitionFilters are those of the subjects of filters that belong to one partition.
func (n names) partitionFilters(c transport.Channel, group string, partition int) []string {
	one := n.place(c, partition)
	if c.Pattern == transport.Queue {
		return []string{one}
	}
	return []string{one, one + ".g." + group}
}

// live is the subject on which the receivers of a group hear whether another one asks for them.
func (n names) live(stream, consumer string) string {
	return n.prefix + ".LIVE." + stream + "." + consumer
}

// delayed is the subject on which a message waits for its NotBefore; due is where it goes then.
func (n names) delayed(e *transport.Envelope) string {
	return n.delayedID(e.Address, e.ID) + "." + encodeToken(e.Copy+"\x00"+e.Group)
}

func (n names) delayedID(address, id string) string {
	return n.prefix + ".DELAY.at." + token(address) + "." + encodeToken(id)
}

func (n names) due() string { return n.prefix + ".DELAY.due" }

func encodeToken(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// partition reads P from a subject, -1 for an unordered channel or a foreign subject.
func (n names) partition(c transport.Channel, subject string) int {
	if c.Partitions == 0 {
		return -1
	}
	rest, ok := strings.CutPrefix(subject, n.root(c.Address)+".")
	if !ok {
		return -1
	}
	word, _, _ := strings.Cut(rest, ".")
	p, err := strconv.Atoi(word)
	if err != nil || p < 0 || p >= c.Partitions {
		return -1
	}
	return p
}

// identity is what the server deduplicates. The group belongs to it: two groups that delay their attempt of the same
// number send the same ID and Copy, and each must get its own.
func identity(e *transport.Envelope) string {
	if e.Copy == "" && e.Group == "" {
		return e.ID
	}
	return e.ID + " " + transport.EscapeAttribute(e.Copy) + " " + e.Group // none of the three has a space
}

// consumer is the name of a group's durable consumer on an unordered channel, and of the group among those who have
// partitions.
func consumer(c transport.Channel, group string) string {
	if c.Pattern == transport.Queue {
		return queueGroup
	}
	return group
}

// partitionConsumer is the name of the durable consumer of a group's partition.
func partitionConsumer(c transport.Channel, group string, partition int) string {
	if c.Pattern == transport.Queue {
		group = ""
	}
	return group + "_" + strconv.Itoa(partition)
}

// consumers are the names of all durable consumers of a group.
func consumers(c transport.Channel, group string) (names []string) {
	if c.Partitions == 0 {
		return []string{consumer(c, group)}
	}
	for p := range c.Partitions {
		names = append(names, partitionConsumer(c, group, p))
	}
	return names
}
