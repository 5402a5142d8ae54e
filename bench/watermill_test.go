package main

import (
	"slices"
	"testing"
)

func TestAnOrderedQueueOfWatermillHasATopicForEachHandler(t *testing.T) {
	m := &mill{lanes: 2}
	for _, c := range []struct {
		queue queue
		want  []string
	}{
		{queue{"q", false}, []string{"q"}},
		{queue{"q", true}, []string{"q-0", "q-1"}},
	} {
		if got := m.topics(c.queue); !slices.Equal(got, c.want) {
			t.Errorf("topics(%+v) = %q; want %q", c.queue, got, c.want)
		}
	}
	if got := (&mill{}).topics(queue{"q", true}); !slices.Equal(got, []string{"q"}) {
		t.Errorf("topics without lanes = %q; want the queue itself", got)
	}
}
