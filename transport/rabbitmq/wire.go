package rabbitmq

import (
	"encoding/binary"
	"net"
	"strconv"
	"sync"
	"time"
)

// wire is a connection on which messages pass by the client library, which spends more on each than all the rest of a
// message's way: what is published is written here, and confirmations, returned messages and deliveries to consumers that
// are known here are read here. Everything else is the library's: the handshake, heartbeats, channels, declarations,
// acknowledgements. Its reader calls Read, and nobody else does.
type wire struct {
	*gather
	confirms confirms // of the channel in confirm mode
	limit    int      // bytes of a frame that is written, at the most

	mu         sync.Mutex
	consumers  map[string]*intake // by tag
	tags       uint64
	publishing uint16 // the channel in confirm mode; 0 = there is none

	// Of who reads.
	buffer   []byte // from the server: what is between from and to is not read yet
	from, to int
	passing  []byte             // what is for the library
	passed   time.Time          // when it got something
	contents map[uint16]content // messages of which not all has come, by channel
	filled   []*intake          // that have got something
}

// intake takes what a consumer gets, in order, and must not block.
type intake struct {
	take  func([]*delivery)
	batch []*delivery
}

// content is a message that comes.
type content struct {
	intake  *intake   // nil = it was published here and comes back
	message *delivery // nil = nothing comes
	header  bool      // has come
	left    uint64    // bytes of the body to come
}

const (
	readBuffer = 64 << 10
	// passEvery is how often the library is shown that the server lives, while nothing comes but what it does not get.
	passEvery = time.Second
)

var heartbeatFrame = [...]byte{frameHeartbeat, 0, 0, 0, 0, 0, 0, frameEnd}

func newWire(c net.Conn) *wire {
	return &wire{
		gather: newGather(c), limit: maxFrame, consumers: make(map[string]*intake), buffer: make([]byte, readBuffer),
		passed: time.Now(), contents: make(map[uint16]content),
	}
}

// expect makes the tag of a consumer whose messages take gets; forget ends that.
func (w *wire) expect(take func([]*delivery)) (tag string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tags++
	tag = strconv.FormatUint(w.tags, 36)
	w.consumers[tag] = &intake{take: take}
	return tag
}

func (w *wire) forget(tag string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.consumers, tag)
}

// channel is the one in confirm mode.
func (w *wire) channel() uint16 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.publishing
}

// Read implements [net.Conn], for the library.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.passing) == 0 {
		frame := w.next()
		switch {
		case frame == nil:
			w.hand()
			if err := w.receive(); err != nil {
				return 0, err
			}
		case !w.takes(frame):
			w.hand()
			w.passing, w.passed = frame, time.Now()
		}
	}
	n := copy(p, w.passing)
	w.passing = w.passing[n:]
	return n, nil
}

// next takes the next frame from what is there; nil = it is not all there. What is no frame is handed to the library,
// which knows what to do.
func (w *wire) next() []byte {
	there := w.buffer[w.from:w.to]
	if len(there) < frameStart {
		return nil
	}
	n := len(there)
	if size, kind := binary.BigEndian.Uint32(there[3:]), there[0]; size <= maxFrame && (kind <= frameBody || kind == frameHeartbeat) {
		n = frameStart + int(size) + 1
	}
	if n > len(there) {
		return nil
	}
	w.from += n
	return there[:n]
}

// receive waits for more from the server.
func (w *wire) receive() error {
	if now := time.Now(); now.Sub(w.passed) >= passEvery && w.from > 0 {
		w.passing, w.passed = heartbeatFrame[:], now
		return nil
	}
	w.to = copy(w.buffer, w.buffer[w.from:w.to])
	w.from = 0
	if w.to == len(w.buffer) { // the frame is larger
		w.buffer = append(w.buffer, make([]byte, maxFrame)...)
	}
	n, err := w.Conn.Read(w.buffer[w.to:])
	w.to += n
	if n > 0 {
		return nil
	}
	return err
}

// hand hands on what has come.
func (w *wire) hand() {
	for i, c := range w.filled {
		c.take(c.batch)
		c.batch, w.filled[i] = nil, nil
	}
	w.filled = w.filled[:0]
}

// takes takes a frame that is not for the library. What it cannot read is.
func (w *wire) takes(frame []byte) bool {
	if len(frame) <= frameStart || frame[len(frame)-1] != frameEnd {
		return false
	}
	channel, payload := binary.BigEndian.Uint16(frame[1:]), frame[frameStart:len(frame)-1]
	if frame[0] == frameMethod {
		return w.takesMethod(channel, payload)
	}
	c, ok := w.contents[channel]
	switch {
	case !ok || c.message == nil:
		return false
	case frame[0] == frameHeader && !c.header:
		if c.left, c.message.properties, c.header = readProperties(payload); !c.header {
			return false
		}
		if c.intake != nil {
			c.message.body = make([]byte, 0, min(c.left, maxFrame))
		}
	case frame[0] == frameBody && c.header && uint64(len(payload)) <= c.left:
		c.left -= uint64(len(payload))
		if c.intake != nil {
			c.message.body = append(c.message.body, payload...)
		}
	default:
		return false
	}
	if c.left == 0 {
		w.complete(c)
		c = content{}
	}
	w.contents[channel] = c
	return true
}

func (w *wire) takesMethod(channel uint16, payload []byte) bool {
	if len(payload) < 4 {
		return false
	}
	method, rest := binary.BigEndian.Uint32(payload), payload[4:]
	switch method {
	case confirmSelectOK:
		w.mu.Lock()
		w.publishing = channel
		w.mu.Unlock()
	case basicAck, basicNack:
		if channel != w.channel() || len(rest) < 9 {
			return false
		}
		w.confirms.settle(binary.BigEndian.Uint64(rest), rest[8]&1 != 0, method == basicAck)
		return true
	case basicReturn:
		if channel != w.channel() {
			return false
		}
		w.contents[channel] = content{message: &delivery{}}
		return true
	case basicDeliver:
		if len(rest) < 1 || len(rest) < 1+int(rest[0])+8 {
			return false
		}
		tag, rest := rest[1:1+rest[0]], rest[1+rest[0]:]
		w.mu.Lock()
		c := w.consumers[string(tag)]
		w.mu.Unlock()
		if c == nil {
			break
		}
		w.contents[channel] = content{intake: c, message: &delivery{tag: binary.BigEndian.Uint64(rest)}}
		return true
	}
	delete(w.contents, channel)
	return false
}

// complete takes a message of which all has come.
func (w *wire) complete(c content) {
	switch {
	case c.intake == nil:
		w.confirms.giveBack(c.message.correlation)
	case len(c.intake.batch) == 0:
		w.filled = append(w.filled, c.intake)
		fallthrough
	default:
		c.intake.batch = append(c.intake.batch, c.message)
	}
}
