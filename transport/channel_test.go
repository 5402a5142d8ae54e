package transport_test

import (
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
)

// The numbers are FNV-1a of 32 bits, from the vectors of its authors: "" 811c9dc5, "a" e40c292c, "foobar" bf9cf968.
// A change here moves keys to other partitions in the middle of their stream.
func TestThePartitionOfAKeyNeverChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key        string
		partitions int
		want       int
	}{
		{"", 8, 0x811c9dc5 % 8}, {"a", 8, 0xe40c292c % 8}, {"foobar", 8, 0xbf9cf968 % 8},
		{"", 7, 0x811c9dc5 % 7}, {"a", 7, 0xe40c292c % 7}, {"foobar", 7, 0xbf9cf968 % 7},
		{"foobar", 256, 0x68}, {"foobar", 1, 0},
		{"", 0, -1}, {"foobar", 0, -1},
	} {
		if got := (transport.Channel{Partitions: c.partitions}).Partition(c.key); got != c.want {
			t.Errorf("Partition(%q) of %d = %d, want %d", c.key, c.partitions, got, c.want)
		}
	}
}

func TestAChannelIsValidatedAsAWhole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		channel transport.Channel
		want    []string // none = valid
	}{
		"queue":     {transport.Channel{Address: "a.b", Pattern: transport.Queue}, nil},
		"stream":    {transport.Channel{Address: "a", Pattern: transport.Stream, Partitions: transport.MaxPartitions, Retain: 1, RetainBytes: 1}, nil},
		"zero":      {transport.Channel{}, []string{"address", "pattern(0)"}},
		"unknown":   {transport.Channel{Address: "a", Pattern: 4}, []string{"pattern(4)"}},
		"too many":  {transport.Channel{Address: "a", Pattern: transport.Topic, Partitions: 257}, []string{"257 partitions"}},
		"too few":   {transport.Channel{Address: "a", Pattern: transport.Topic, Partitions: -1}, []string{"-1 partitions"}},
		"retention": {transport.Channel{Address: "a", Pattern: transport.Topic, Retain: -1}, []string{"retention"}},
		"all":       {transport.Channel{Address: "A", Pattern: 9, Partitions: -1, RetainBytes: -1}, []string{"address", "pattern(9)", "partitions", "retention"}},
	} {
		err := c.channel.Validate()
		if (err == nil) != (len(c.want) == 0) {
			t.Errorf("%s: Validate = %v, want %q", name, err, c.want)
		}
		for _, want := range c.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: Validate = %v, want it to say %q", name, err, want)
			}
		}
	}
}

func TestPatternsHaveNames(t *testing.T) {
	t.Parallel()
	for p, want := range map[transport.Pattern]string{
		transport.Queue: "queue", transport.Topic: "topic", transport.Stream: "stream", 7: "pattern(7)",
	} {
		if got := p.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}
