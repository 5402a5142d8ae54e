package rabbitmq

import (
	"net"
	"testing"
	"time"
)

func TestASessionThatIsRefusedForLongIsBroken(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	s := &session{out: &wire{gather: &gather{Conn: ours}}}
	one, other := &parcel{exchange: "x", key: "1"}, &parcel{exchange: "x", key: "2"}
	begin := time.Now()
	broken := func() bool {
		_ = ours.SetReadDeadline(time.Now().Add(-time.Second)) // a pipe that is closed says so at once
		_, err := ours.Read(make([]byte, 1))
		return err.Error() == "io: read/write on closed pipe"
	}
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"refused once", func() { s.refused(one, begin) }},
		{"refused again soon", func() { s.refused(one, begin.Add(sourAfter-time.Millisecond)) }},
		{"refused late for another place", func() { s.refused(other, begin.Add(2*sourAfter)) }},
		{"taken in between", func() { s.took(one); s.refused(one, begin.Add(2*sourAfter)) }},
	} {
		if step.do(); broken() {
			t.Fatalf("%s: the connection is broken; want it to last", step.what)
		}
	}
	if s.refused(other, begin.Add(3*sourAfter)); !broken() {
		t.Errorf("refused for %v, and nothing for that place taken: the connection lasts; want another one", sourAfter)
	}
}
