package kafka

import (
	"encoding/base64"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

const noteFormat = "2 "

// note is what goes with a place as its metadata: which topic of the name it is in, and what is settled ahead of it.
func (a *ahead) note(topic kadm.TopicID) string {
	s := noteFormat + base64.RawStdEncoding.EncodeToString(topic[:])
	if len(a.bits) == 0 {
		return s
	}
	return s + " " + base64.RawStdEncoding.EncodeToString(a.bits)
}

// readNote is the reverse of note. What it can't read, of another version or another client, is empty and in a topic
// whose id is zero.
func readNote(base int64, s string) (behind ahead, topic kadm.TopicID) {
	text, ok := strings.CutPrefix(s, noteFormat)
	word, rest, _ := strings.Cut(text, " ")
	id, err := base64.RawStdEncoding.DecodeString(word)
	if !ok || err != nil || len(id) != len(topic) {
		return ahead{}, topic
	}
	bits, err := base64.RawStdEncoding.DecodeString(rest)
	if err != nil {
		bits = nil
	}
	return ahead{base, bits}, kadm.TopicID(id)
}

// astray reports whether a place was noted in another topic than this one, which had its name and was deleted.
func astray(noted, topic kadm.TopicID) bool {
	none := kadm.TopicID{}
	return noted != none && topic != none && noted != topic
}

// come is how far a group has come: nowhere where its place is in a topic that was deleted.
func (b *Broker) come(o kadm.Offset) int64 {
	if _, noted := readNote(o.At, o.Metadata); o.At > 0 && astray(noted, b.topicID(o.Topic)) {
		return 0
	}
	return o.At
}
