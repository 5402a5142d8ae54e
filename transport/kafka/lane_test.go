package kafka

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/parley-io/parley/transport"
)

func testReceiver() *receiver {
	b := &Broker{names: names{"parley"}}
	c := transport.Channel{Address: "a.b", Pattern: transport.Topic, Partitions: 1}
	return newReceiver(b, transport.Route{Channel: c, Group: "g"}, nil)
}

func records(offsets ...int64) (all []*kgo.Record) {
	for _, o := range offsets {
		all = append(all, &kgo.Record{Offset: o})
	}
	return all
}

func TestTheMarkNeverPassesWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLane(testReceiver(), 0, 1)
		offset, settledOffsets := int64(5), map[int64]bool{}
		var all, out []*entry
		now := time.Now()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"fetch", "take", "done", "return"}).Draw(t, "step") {
			case "fetch":
				offset += int64(rapid.IntRange(1, 3).Draw(t, "gap")) // aborted and deleted records leave gaps
				before := len(l.entries)
				l.add(records(offset))
				all = append(all, l.entries[before:]...)
			case "take":
				now = now.Add(time.Hour) // whatever rests has rested
				if e := l.take(now); e != nil {
					if len(out) > 0 && slices.ContainsFunc(all, func(x *entry) bool { return x.state == waits && x.offset < e.offset }) {
						t.Fatalf("took offset %d while an older one waits", e.offset)
					}
					out = append(out, e)
				}
			case "done", "return":
				if len(out) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(out)-1).Draw(t, "which")
				e, o := out[i], transport.Done
				out = slices.Delete(out, i, i+1)
				if rapid.Bool().Draw(t, "back") {
					o = transport.Return
				} else {
					settledOffsets[e.offset] = true
				}
				e.state = settled
				l.land(e, o, now)
			}
			want := int64(-1)
			for _, e := range all {
				if !settledOffsets[e.offset] {
					break
				}
				want = e.offset + 1
			}
			if l.mark != want {
				t.Fatalf("mark = %d; want %d, what follows the settled prefix", l.mark, want)
			}
			if _, behind := l.place(); want >= 0 {
				for _, e := range all {
					if o := e.offset; o >= want && behind.has(o) != settledOffsets[o] {
						t.Fatalf("what goes with the mark has offset %d = %v; want %v", o, behind.has(o), settledOffsets[o])
					}
				}
			}
			if l.out != len(out) {
				t.Fatalf("out = %d; want %d", l.out, len(out))
			}
		}
	})
}

func TestALaneDoesNotGrowBehindAMessageThatHangs(t *testing.T) {
	t.Parallel()
	l := newLane(testReceiver(), 0, 1)
	fetched := int64(0)
	var head *entry
	work := func() {
		for e := l.take(time.Now()); e != nil; e = l.take(time.Now()) {
			if head == nil {
				head = e
				continue
			}
			e.state = settled
			l.land(e, transport.Done, time.Now())
		}
	}
	for range 1000 {
		if l.full() {
			break
		}
		var all []*kgo.Record
		for range 500 {
			all = append(all, &kgo.Record{Offset: fetched, Value: make([]byte, 100)})
			fetched++
		}
		l.add(all)
		work()
	}
	if got := len(l.entries); !l.full() || l.wants() || got > maxAhead*8+500 {
		t.Errorf("full %v, wants %v, %d entries; want a full lane of about %d", l.full(), l.wants(), got, maxAhead*8)
	}
	kept := 0
	for _, e := range l.entries {
		if e.record != nil {
			kept++
		}
	}
	if _, behind := l.place(); kept > 501 || behind.has(fetched-1) && len(behind.bits) > maxAhead {
		t.Errorf("%d records kept; want the one that hangs and those that cannot be told with its place", kept)
	}
	head.state = settled
	l.land(head, transport.Done, time.Now())
	work()
	if !l.wants() || l.mark != fetched {
		t.Errorf("wants %v, mark %d; want true, %d once it is settled", l.wants(), l.mark, fetched)
	}
}

func TestWhatIsForOtherGroupsAndMarksOfTransactionsNeedNoSettling(t *testing.T) {
	t.Parallel()
	l := newLane(testReceiver(), 0, 1)
	mine, theirs := records(3)[0], records(4)[0]
	mine.Headers = []kgo.RecordHeader{{Key: "ce_parleygroup", Value: []byte("g")}}
	theirs.Headers = []kgo.RecordHeader{{Key: "ce_parleygroup", Value: []byte("h")}}
	l.add([]*kgo.Record{theirs})
	if l.mark != 5 {
		t.Errorf("mark after a record for another group = %d; want 5", l.mark)
	}
	mine.Offset = 5
	l.add([]*kgo.Record{mine})
	if e := l.take(time.Now()); e == nil || e.record != mine || l.mark != 5 {
		t.Errorf("take = %v, mark %d; want the record for this group, mark 5", e, l.mark)
	}
}

func TestALaneRestsLongerAfterEachReturn(t *testing.T) {
	t.Parallel()
	l := newLane(testReceiver(), 0, 1)
	l.add(records(0, 1))
	now := time.Now()
	var rests []time.Duration
	for range 9 {
		e := l.take(now)
		if e == nil || e.offset != 0 {
			t.Fatalf("take = %v; want the returned record again, before the next", e)
		}
		e.state = settled
		l.land(e, transport.Return, now)
		if l.take(now) != nil {
			t.Fatal("took something from a lane that rests; want nothing")
		}
		rests = append(rests, l.rest.Sub(now))
		now = l.rest
	}
	if rests[0] != firstRest || !slices.IsSorted(rests) || rests[8] != 64*firstRest {
		t.Errorf("rests = %v; want them to double from %v up to %v", rests, firstRest, 64*firstRest)
	}
}

func TestALaneThatIsGivenUpWaitsForWhatIsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLane(testReceiver(), 0, 1)
		l.add(records(0, 1))
		e := l.take(time.Now())
		l.give()
		select {
		case <-l.yield:
		default:
			t.Error("Yield is open after give; want it closed")
		}
		if l.take(time.Now()) != nil {
			t.Error("took something from a lane that is given up; want nothing")
		}
		idle := false
		go func() { <-l.idle; idle = true }()
		synctest.Wait()
		if idle {
			t.Error("a lane is idle while a delivery is out; want it to wait")
		}
		e.state = settled
		l.land(e, transport.Done, time.Now())
		synctest.Wait()
		if !idle || l.mark != 1 {
			t.Errorf("idle %v, mark %d; want true, 1 once the delivery is settled", idle, l.mark)
		}
		l.end()
		<-l.revoked
		if l.valid() {
			t.Error("Valid = true for a lane that has ended; want false")
		}
	})
}
