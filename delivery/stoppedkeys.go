package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/transport"
)

// StoppedKeys is the channel in which receivers with [Subscription.StopKey] write down which keys are stopped and by
// which messages: what an instance that takes over a partition has to know before it begins. It is kept for ever and
// read from its start; a record is about 200 bytes, and there is one for each message that joins or leaves a stopped key
// and one whenever an instance gets partitions. One partition, so that everybody reads the same story.
func StoppedKeys() transport.Channel {
	return transport.Channel{Address: "parley.stopped-keys", Pattern: transport.Stream, Partitions: 1}
}

// ReleaseKey lets a key of a receiver go on that is stopped: its dead letters stay where they are, and what comes from
// now on is handled. It is for a key whose head nobody will ever handle; a redrive of all its letters releases it by
// itself. receiver is as in [DeadLetter.Receiver]. It returns once the broker keeps the order; releasing a key that is not stopped is fine.
func ReleaseKey(ctx context.Context, b transport.Broker, address, receiver, key string) error {
	fail := func(err error) error { return fmt.Errorf("releasing key %q of %s: %w", key, receiver, err) }
	if err := Declare(ctx, b, []transport.Channel{StoppedKeys()}); err != nil {
		return fail(err)
	}
	e := stopRecord{Version: 1, Kind: keyReleased, Address: address, Receiver: receiver, Key: key}.envelope()
	if err := Send(ctx, b, []*transport.Envelope{e})[0].Err; err != nil {
		return fail(err)
	}
	return nil
}

// stopRecord is a message of [StoppedKeys].
type stopRecord struct {
	Version  int      `json:"version"` // 1
	Kind     stopKind `json:"kind"`
	Address  string   `json:"address,omitzero"`
	Receiver string   `json:"receiver,omitzero"`
	Key      string   `json:"key,omitzero"`
	ID       string   `json:"id,omitzero"` // of the message
}

type stopKind string

const (
	keyStopped  stopKind = "stopped"  // the message is going to the dead letters: first of its key, or behind another
	keyLeft     stopKind = "left"     // it was redriven and is through
	keyReleased stopKind = "released" // the key has nothing any more that stops it
	keyMark     stopKind = "mark"     // nothing: somebody wants to know when he has read everything before it
)

func (r stopRecord) envelope() *transport.Envelope {
	return &transport.Envelope{
		ID: rand.Text(), Source: "parley", Address: StoppedKeys().Address, Time: time.Now(),
		ContentType: "application/vnd.parley.stopped-key+json", Body: encode(r),
	}
}

// stoppedKeys is what a consumer knows of the stopped keys of its receiver: what the records that it has read add up to,
// its own among them, so that all instances know the same.
type stoppedKeys struct {
	address, receiver string
	kick              chan struct{} // capacity 1: wanted has a new one
	broken            chan struct{} // closed when nothing more is learned; err says why

	mu      sync.Mutex
	keys    map[string]*stoppedKey
	awaited map[string]chan struct{} // by the id of a record of this consumer; closed once it is read
	known   map[<-chan struct{}]bool // partitions whose story is known up to their beginning, by their Yield
	wanted  []<-chan struct{}        // those to be known
	err     error
}

// stoppedKey is what has been given up of one key and is not through yet.
type stoppedKey struct {
	order []string // ids, the oldest first; some may not be there any more
	there map[string]bool
}

func newStoppedKeys(s *Subscription) *stoppedKeys {
	return &stoppedKeys{
		address: s.Channel.Address, receiver: s.receiver(), kick: make(chan struct{}, 1), broken: make(chan struct{}),
		keys: make(map[string]*stoppedKey), awaited: make(map[string]chan struct{}), known: make(map[<-chan struct{}]bool),
	}
}

// before is the message that e is behind: the oldest of its key that is not through; false = e may be handled.
func (s *stoppedKeys) before(e *transport.Envelope) (id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[e.Key]
	if k == nil || k.order[0] == e.ID {
		return "", false
	}
	return k.order[0], true
}

// has reports whether e is one of those that stop its key.
func (s *stoppedKeys) has(e *transport.Envelope) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[e.Key]
	return k != nil && k.there[e.ID]
}

// count is how many keys are stopped.
func (s *stoppedKeys) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}

// record makes the record about e, and what is closed once this consumer has read it. forget it in the end.
func (s *stoppedKeys) record(kind stopKind, e *transport.Envelope) (record *transport.Envelope, back <-chan struct{}) {
	r := stopRecord{Version: 1, Kind: kind}
	if e != nil {
		r.Address, r.Receiver, r.Key, r.ID = s.address, s.receiver, e.Key, e.ID
	}
	record = r.envelope()
	read := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaited[record.ID] = read
	return record, read
}

func (s *stoppedKeys) forget(record *transport.Envelope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.awaited, record.ID)
}

// take reads a record.
func (s *stoppedKeys) take(d *transport.Delivery) {
	defer d.Settle(transport.Done)
	var r stopRecord
	err := json.Unmarshal(d.Envelope.Body, &r)
	if err == nil && r.Version != 1 {
		s.fail(fmt.Errorf("reading %s: a record of version %d: want 1; a newer parley wrote it, update this program", StoppedKeys().Address, r.Version))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && r.Address == s.address && r.Receiver == s.receiver { // what is no record was written by somebody else
		s.apply(&r)
	}
	if back := s.awaited[d.Envelope.ID]; back != nil {
		close(back)
		delete(s.awaited, d.Envelope.ID)
	}
}

// apply adds a record; one may come twice. s.mu is held.
func (s *stoppedKeys) apply(r *stopRecord) {
	k := s.keys[r.Key]
	switch {
	case r.Kind == keyStopped && k == nil:
		s.keys[r.Key] = &stoppedKey{order: []string{r.ID}, there: map[string]bool{r.ID: true}}
	case k == nil:
	case r.Kind == keyStopped && !k.there[r.ID]:
		k.order = append(k.order, r.ID)
		k.there[r.ID] = true
	case r.Kind == keyReleased:
		delete(s.keys, r.Key)
	case r.Kind == keyLeft:
		delete(k.there, r.ID)
		for len(k.order) > 0 && !k.there[k.order[0]] {
			k.order = k.order[1:]
		}
		if len(k.order) == 0 {
			delete(s.keys, r.Key)
		}
	}
}

// want asks for everything that others wrote before this instance got a partition.
func (s *stoppedKeys) want(yield <-chan struct{}) {
	s.mu.Lock()
	s.wanted = append(s.wanted, yield)
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// knows reports whether the story of a partition is known.
func (s *stoppedKeys) knows(yield <-chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[yield]
}

// lost forgets a partition that has passed.
func (s *stoppedKeys) lost(yield <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, yield)
}

// run reads the records until ctx is done, and makes wanted partitions known.
func (s *stoppedKeys) run(ctx context.Context, b transport.Broker) {
	var parts sync.WaitGroup
	parts.Go(func() {
		route := transport.Route{Channel: StoppedKeys(), From: transport.Position{Start: true}, Credit: transport.NewCredit(1024)}
		err := b.Receive(ctx, route, s.take)
		if err == nil {
			err = errors.New("the broker ended it without a reason")
		}
		if ctx.Err() == nil {
			s.fail(fmt.Errorf("reading %s: %w", StoppedKeys().Address, err))
		}
	})
	parts.Go(func() {
		for {
			select {
			case <-s.kick:
				s.learn(ctx, b)
			case <-ctx.Done():
				return
			}
		}
	})
	parts.Wait()
}

// learn makes the partitions that are wanted now known: whoever had one before wrote what it had to say about a message
// before settling it, so that it is stored before a mark that is sent now.
func (s *stoppedKeys) learn(ctx context.Context, b transport.Broker) {
	s.mu.Lock()
	wanted := s.wanted
	s.wanted = nil
	s.mu.Unlock()
	mark, back := s.record(keyMark, nil)
	defer s.forget(mark)
	if err := Send(ctx, b, []*transport.Envelope{mark})[0].Err; err != nil {
		if ctx.Err() == nil {
			s.fail(fmt.Errorf("writing %s: %w", StoppedKeys().Address, err))
		}
		return
	}
	select {
	case <-back:
	case <-ctx.Done():
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, yield := range wanted {
		if !closed(yield) {
			s.known[yield] = true
		}
	}
}

// ends is closed when nothing more is learned, as failure then says; that of nil never is.
func (s *stoppedKeys) ends() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.broken
}

// fail notes why nothing more is learned; the first reason counts.
func (s *stoppedKeys) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		close(s.broken)
	}
}

// failure is why nothing more is learned.
func (s *stoppedKeys) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
