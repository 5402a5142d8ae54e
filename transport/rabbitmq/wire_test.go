package rabbitmq

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// served is a connection that gets what a server sends, in pieces of such a size.
type served struct {
	net.Conn
	rest  []byte
	piece func() int
}

func (s *served) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest[:min(s.piece(), len(s.rest))])
	s.rest = s.rest[n:]
	return n, nil
}

func (s *served) Close() error { return nil }

// deliver appends the frames of a delivery, which differ from those of publishing in the method alone.
func deliver(b []byte, channel uint16, consumer string, tag uint64, m *message) []byte {
	b, begin := beginFrame(b, frameMethod, channel)
	b = appendShort(binary.BigEndian.AppendUint32(b, basicDeliver), consumer)
	b = append(binary.BigEndian.AppendUint64(b, tag), 0)
	b = endFrame(appendShort(appendShort(b, "exchange"), "key"), begin)
	return appendContent(b, channel, 4096, "", m)
}

// giveBack appends the frames of a message that comes back.
func giveBack(b []byte, channel uint16, number string, m *message) []byte {
	b, begin := beginFrame(b, frameMethod, channel)
	b = append(binary.BigEndian.AppendUint32(b, basicReturn), 312>>8, 312&0xff)
	b = endFrame(appendShort(appendShort(appendShort(b, "NO_ROUTE"), "exchange"), "key"), begin)
	return appendContent(b, channel, 4096, number, m)
}

// confirm appends the frame that confirms messages.
func confirm(b []byte, channel uint16, method uint32, tag uint64, multiple byte) []byte {
	b, begin := beginFrame(b, frameMethod, channel)
	return endFrame(append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, method), tag), multiple), begin)
}

// other is a frame that is the library's.
func other(b []byte, channel uint16, what string) []byte {
	b, begin := beginFrame(b, frameMethod, channel)
	return endFrame(append(binary.BigEndian.AppendUint32(b, 20<<16|11), what...), begin)
}

func TestMessagesPassByTheLibraryAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var sent, passed []byte
		var want, got []string
		conn := &served{piece: func() int { return rapid.IntRange(1, 3*maxFrame).Draw(t, "piece") }}
		w := newWire(conn)
		defer func() { _ = w.Close() }()
		consumer := w.expect(func(batch []*delivery) {
			for _, d := range batch {
				got = append(got, string(rune(d.tag))+d.contentType+d.id+string(d.headers)+string(d.body))
			}
		})
		for n := range rapid.IntRange(1, 20).Draw(t, "messages") {
			m := message{
				contentType: rapid.SampledFrom([]string{"", "text/plain"}).Draw(t, "type"), id: rapid.SampledFrom([]string{"", "id"}).Draw(t, "id"),
				body: bytes.Repeat([]byte{byte(n)}, rapid.SampledFrom([]int{0, 1, 200, 4096, 3 * maxFrame}).Draw(t, "bytes")),
			}
			m.headers.putNumber("n", int64(n))
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				sent = deliver(sent, 1+uint16(n%3), consumer, uint64(n), &m)
				want = append(want, string(rune(n))+m.contentType+m.id+string(m.headers)+string(m.body))
			case 1: // of a consumer of the library
				begin := len(sent)
				sent = deliver(sent, 1+uint16(n%3), "ctag", uint64(n), &m)
				passed = append(passed, sent[begin:]...)
			default:
				begin := len(sent)
				sent = other(sent, uint16(n%3), "something")
				passed = append(passed, sent[begin:]...)
			}
		}
		conn.rest = sent
		through, err := io.ReadAll(w)
		if err != nil || !bytes.Equal(through, passed) {
			t.Fatalf("the library reads %d bytes, %v; want the %d that are for it", len(through), err, len(passed))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d messages came; want the %d that were sent, in their order and as they were", len(got), len(want))
		}
	})
}

func TestAReturnedMessageIsToldFromAnotherOfTheSameID(t *testing.T) {
	t.Parallel()
	conn := &served{piece: func() int { return 1 << 20 }}
	w := newWire(conn)
	defer func() { _ = w.Close() }()
	m := message{id: "id", body: []byte("b")}
	first, _ := w.confirms.expect()
	second, number := w.confirms.expect()
	third, _ := w.confirms.expect()
	b, begin := beginFrame(nil, frameMethod, 1)
	b = endFrame(binary.BigEndian.AppendUint32(b, confirmSelectOK), begin)
	selected := len(b)
	b = confirm(giveBack(b, 1, number, &m), 1, basicAck, 2, 1)
	b = confirm(b, 1, basicNack, 3, 0)
	conn.rest = b
	if through, err := io.ReadAll(w); err != nil || len(through) != selected {
		t.Errorf("the library reads %d bytes, %v; want the %d that begin confirmations", len(through), err, selected)
	}
	for n, c := range []*confirmation{first, second, third} {
		select {
		case <-c.done:
		default:
			t.Fatalf("message %d is not confirmed; want all three", n+1)
		}
		if acked, returned := c.acked, c.returned; acked != (n < 2) || returned != (n == 1) {
			t.Errorf("message %d: acked %v, returned %v; want the third refused, and the second returned alone", n+1, acked, returned)
		}
	}
}

func TestTheLibraryIsShownThatTheServerLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		w := newWire(near)
		consumer := w.expect(func([]*delivery) {})
		go func() { // ends with the last message
			defer func() { _ = far.Close() }()
			frames := deliver(nil, 1, consumer, 1, &message{body: []byte("b")})
			for range 100 {
				if _, err := far.Write(frames); err != nil {
					return
				}
				time.Sleep(passEvery / 10)
			}
		}()
		through, err := io.ReadAll(w)
		if n := len(through) / len(heartbeatFrame); err != nil || n < 8 || n > 10 || !bytes.Equal(through, bytes.Repeat(heartbeatFrame[:], n)) {
			t.Errorf("in 10 s of nothing but messages the library reads %q, %v; want a heartbeat each second", through, err)
		}
		_ = w.Close()
	})
}

// Whatever comes is handed on unharmed as long as nobody is there to take it, and nothing is made of it.
func FuzzWhatTheServerSaysReachesTheLibrary(f *testing.F) {
	f.Add(deliver(nil, 1, "ctag", 1, &message{body: []byte("b")}), 3)
	f.Add(confirm(other(nil, 0, "x"), 1, basicAck, 1, 0), 100)
	f.Add([]byte("AMQP\x00\x00\x09\x01"), 1)
	f.Add([]byte{frameHeader, 0, 1, 0, 0, 0, 2, 0, 60, frameEnd, frameMethod, 0, 1, 0xff, 0xff, 0xff, 0xff}, 5)
	f.Fuzz(func(t *testing.T, sent []byte, piece int) {
		conn := &served{rest: sent, piece: func() int { return max(piece, 1) }}
		w := newWire(conn)
		through, err := io.ReadAll(w)
		if err != nil || !bytes.HasPrefix(sent, through) {
			t.Errorf("the library reads %q, %v; want the beginning of %q", through, err, sent)
		}
		if err := w.Close(); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
		known := newWire(&served{rest: sent, piece: func() int { return max(piece, 1) }})
		for range 3 {
			known.expect(func([]*delivery) {})
		}
		known.consumers["ctag"], known.publishing = &intake{take: func([]*delivery) {}}, 1
		_, _ = io.ReadAll(known) // must end
		_ = known.Close()
	})
}
