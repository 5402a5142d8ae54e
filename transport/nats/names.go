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

func (n names) root(address string) string { return n.prefix + "." + token(address) }

// subject is where a message of a channel is published.
func (n names) subject(c transport.Channel, e *transport.Envelope) string {
	s := n.root(c.Address) + "." + strconv.Itoa(max(c.Partition(e.Key), 0))
	if e.Group != "" && c.Pattern != transport.Queue {
		s += ".g." + e.Group
	}
	return s
}

// subjects are all that a channel's stream takes.
func (n names) subjects(address string) []string {
	return []string{n.root(address) + ".*", n.root(address) + ".*.g.*"}
}

// filters are the subjects that a group gets; "" = a reader.
func (n names) filters(c transport.Channel, group string) []string {
	all := n.subjects(c.Address)
	switch {
	case c.Pattern == transport.Queue:
		return all
	case group == "":
		return all[:1]
	}
	return []string{all[0], n.root(c.Address) + ".*.g." + group}
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

// consumer is the name of a group's durable consumer.
func consumer(c transport.Channel, group string) string {
	if c.Pattern == transport.Queue {
		return queueGroup
	}
	return group
}
