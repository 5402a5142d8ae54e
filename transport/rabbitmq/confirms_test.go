package rabbitmq

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestEachConfirmationIsOfTheMessageThatTheServerNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c confirms
		type said struct{ done, acked, returned bool }
		var all []*confirmation
		var want []said
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			tag := uint64(rapid.IntRange(0, len(all)+2).Draw(t, "tag")) // some that were never published
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				of, number := c.expect()
				if n, err := strconv.ParseUint(number, 36, 64); err != nil || n != uint64(len(all)+1) {
					t.Fatalf("expect = number %q; want %d to the base of 36", number, len(all)+1)
				}
				all, want = append(all, of), append(want, said{})
			case 1:
				c.giveBack(strconv.FormatUint(tag, 36))
				if tag > 0 && tag <= uint64(len(want)) && !want[tag-1].done {
					want[tag-1].returned = true
				}
			default:
				multiple, acked := rapid.Bool().Draw(t, "multiple"), rapid.Bool().Draw(t, "acked")
				c.settle(tag, multiple, acked)
				for n := range want {
					if at := uint64(n + 1); !want[n].done && (at == tag || multiple && at < tag) {
						want[n].done, want[n].acked = true, acked
					}
				}
			}
		}
		c.end()
		if of, _ := c.expect(); of != nil {
			t.Error("a message is counted after the end; want none")
		}
		for n, of := range all {
			<-of.done
			if of.acked != want[n].acked || want[n].done && of.returned != want[n].returned {
				t.Errorf("message %d: acked %v, returned %v; want %+v", n+1, of.acked, of.returned, want[n])
			}
		}
	})
}
