package nats

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	natsio "github.com/nats-io/nats.go"

	"github.com/parley-io/parley/transport"
)

// Each message that waits for the confirmation of a stranger's costs its sender a disk's write of the server.
func TestFewMessagesAreOnTheirWaySideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, fewSideBySide)
}

func fewSideBySide(t *testing.T) {
	strangers := func(n int) (items []*item) {
		for range n {
			items = append(items, &item{msg: new(message)})
		}
		return items
	}
	repetition := []*item{{msg: new(message), repeated: true}}
	l := newLane(nil, "stream", transport.Channel{})
	step := func(what string, come []*item, land, group int) {
		t.Helper()
		l.queue = append(l.queue, come...)
		l.flying -= land
		if got := len(l.next()); got != group {
			t.Errorf("%s: %d messages were launched; want %d", what, got, group)
		}
	}
	step("two, and nothing is on its way", strangers(2), 0, 2)
	step("17 beside two", strangers(minBatch-3), 0, minBatch-3)
	step("one that would make 20 with those on their way", strangers(1), 0, 0)
	step("one of 19 is confirmed", nil, 1, 0)
	step("all are", nil, minBatch-2, 1)
	step("a repetition", repetition, 0, 0)
	step("the one before it is confirmed", nil, 1, 1)
	step("two behind the repetition", strangers(2), 0, 0)
	step("which is confirmed", nil, 1, 2)
	step("enough for a batch, beside two", strangers(minBatch), 0, 0)
	step("the two are confirmed", nil, 2, minBatch)
	step("one beside a batch", strangers(1), 0, 0)
	step("the batch is confirmed", nil, 1, 1)
	l.land(&flight{lane: l, begun: time.Now()}, confirmation{Error: &serverError{ErrCode: codeInProcess}}, nil)
	step("one beside what the server has in process", strangers(1), 0, 0)
	if len(l.queue) != 1 || l.flying != 1 {
		t.Errorf("%d wait, %d are on their way; want 1, 1", len(l.queue), l.flying)
	}
}

// The mover of delayed messages adds without waiting, and confirmations launch beside it.
func TestWhatIsAddedIsWrittenInItsOrder(t *testing.T) {
	t.Parallel()
	s := newSwept(t, 0)
	written, err := s.b.nc.SubscribeSync(sweptSubject)
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	l := newLane(s.b, s.info.Config.Name, s.c)
	var others, open sync.WaitGroup
	added := make(chan struct{})
	for range 4 {
		others.Go(func() {
			for !closed(added) {
				l.pump()
			}
		})
	}
	few := make(chan struct{}, minBatch/2) // more would be a batch
	open.Add(n)
	for i := range n {
		few <- struct{}{}
		m := &message{natsio.Msg{Subject: sweptSubject, Header: natsio.Header{natsio.MsgIdHdr: {strconv.Itoa(i)}}}}
		l.add([]*item{{msg: m, settled: func(r transport.Receipt) {
			if r.Err != nil {
				t.Errorf("message %d: receipt = %v; want nil", i, r.Err)
			}
			<-few
			open.Done()
		}}})
	}
	close(added)
	others.Wait()
	open.Wait()
	for i := range n {
		m, err := written.NextMsgWithContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := m.Header.Get(natsio.MsgIdHdr), strconv.Itoa(i); got != want {
			t.Fatalf("message %s was written as number %d; want %s", got, i, want)
		}
	}
}
