package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

// owners is what a Broker knows of who has which partition, and its own sign of life. Both are in a bucket that all
// Brokers of a prefix watch. It begins with the first Receive of a partition.
type owners struct {
	b    *Broker
	keep sync.WaitGroup // the keeper
	wake chan struct{}  // the keeper's; capacity 1
	// memory is how long nothing may be heard; afterwards all is heard anew.
	memory time.Duration

	mu      sync.Mutex
	kv      jetstream.KeyValue // nil = not begun
	lease   *lease             // nil = none at the moment
	joined  bool               // the lease is in what was heard, and so is all that was there before it
	signs   map[string]*sign   // leases by id
	crowds  map[string]*crowd  // by stream and group, as keys have them
	created time.Time          // when the bucket was
	newest  time.Time          // the server's time of what was heard last
	owed    []func(context.Context) error

	started *lease // one that may have been stored without our knowing; the keeper's
}

const (
	leaseRenew = LeaseTTL / 8
	renewWait  = 4 * time.Second         // for the answer to a renewal: what comes later finds the lease lapsed
	keeperWait = 1500 * time.Millisecond // for what else is done about the bucket, between two renewals
	markerTTL  = 10 * time.Minute        // how long the bucket remembers that a key was removed
)

func newOwners(b *Broker) *owners {
	return &owners{
		b: b, wake: make(chan struct{}, 1), memory: markerTTL / 2,
		signs: make(map[string]*sign), crowds: make(map[string]*crowd),
	}
}

// begin makes the bucket, and starts to watch it and to live in it, if that has not happened.
func (o *owners) begin(ctx context.Context) error {
	if o.bucket() != nil {
		return nil
	}
	kv, err := o.create(ctx)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.kv == nil {
		o.kv = kv
		o.keep.Go(o.run)
		o.b.users.Go(o.watch)
	}
	return nil
}

func (o *owners) bucket() jetstream.KeyValue {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kv
}

func (o *owners) create(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := o.b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: o.b.names.bucket(), Description: "who has which partition", History: 1,
		Storage: jetstream.FileStorage, Replicas: o.b.options.Replicas, LimitMarkerTTL: markerTTL,
	})
	if !errors.Is(err, jetstream.ErrBucketExists) {
		return kv, err
	}
	s, err := o.b.js.Stream(ctx, o.b.names.bucketStream()) // with other settings
	if err != nil {
		return nil, err
	}
	if err := o.fit(s.CachedInfo().Config); err != nil {
		return nil, err
	}
	return o.b.js.KeyValue(ctx, o.b.names.bucket())
}

// fit reports the settings of an existing bucket that make it forget who has what, or that somebody left.
func (o *owners) fit(found jetstream.StreamConfig) error {
	want := jetstream.StreamConfig{
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		Replicas: o.b.options.Replicas,
	}
	if !found.AllowMsgTTL || found.SubjectDeleteMarkerTTL < markerTTL || found.MaxMsgsPerSubject < 1 {
		return fmt.Errorf("%w: the stream %s does not keep one message of each key, and markers of removed ones for %v: edit it, or use another prefix",
			transport.ErrRefused, found.Name, markerTTL)
	}
	found.MaxMsgsPerSubject = 0 // which is right here
	return safe(want, found)
}

// watch hears of all changes until the Broker is closed.
func (o *owners) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := &receiver{
		b: o.b, stream: o.b.names.bucketStream(), filters: []string{o.b.names.key(">")},
		from: transport.Position{Start: true}, reader: true, window: newWindow(nil), take: o.hear,
	}
	r.restore = func(ctx context.Context) (*jetstream.StreamInfo, error) {
		s, err := o.b.js.Stream(ctx, o.b.names.bucketStream())
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			if _, err := o.create(ctx); err != nil {
				return nil, err
			}
			s, err = o.b.js.Stream(ctx, o.b.names.bucketStream())
		}
		if err != nil {
			return nil, err
		}
		if o.missed(s.CachedInfo().TimeStamp) {
			r.begin()
		}
		return s.CachedInfo(), nil
	}
	for r.run(ctx) != nil { // it ends well when the Broker is closed
		select {
		case <-o.b.closing:
			return
		case <-time.After(moverPause):
		}
	}
}

// hear takes a change of the bucket.
func (o *owners) hear(e *entry) {
	defer e.settle(transport.Done)
	h := e.msg.Header
	removed := h.Get("KV-Operation") != "" || h.Get("Nats-Marker-Reason") != ""
	words := strings.Split(strings.TrimPrefix(e.msg.Subject, o.b.names.key("")), ".")
	o.mu.Lock()
	defer o.mu.Unlock()
	if !e.created.Equal(o.created) { // the first of all, or of another bucket in the place of one that is lost
		o.forget()
		o.created = e.created
	}
	o.newest = e.meta.Timestamp
	switch {
	case words[0] == "lease" && len(words) == 2:
		o.hearLease(words[1], e, removed)
	case words[0] == "member" && len(words) == 4:
		c := o.crowd(words[1] + "." + words[2])
		if removed {
			delete(c.members, words[3])
		} else {
			c.members[words[3]] = e.sequence()
		}
		c.kick()
	case words[0] == "owner" && len(words) == 4:
		c := o.crowd(words[1] + "." + words[2])
		p, err := strconv.Atoi(words[3])
		if err != nil { // not ours
			return
		}
		c.claims[p] = claim{revision: e.sequence()}
		if !removed {
			c.claims[p] = claim{string(e.msg.Data), e.sequence()}
		}
		c.kick()
	}
}

// missed reports whether so much time has passed at the server since anything was heard, while our own lease alone would
// have been heard each leaseRenew, that the bucket may have forgotten who left. Then all is forgotten here, too.
func (o *owners) missed(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.newest.IsZero() || now.Sub(o.newest) < o.memory {
		return false
	}
	o.forget()
	return true
}

// forget forgets what was heard. o.mu is held.
func (o *owners) forget() {
	o.created, o.newest, o.joined = time.Time{}, time.Time{}, false
	clear(o.signs)
	for key, c := range o.crowds {
		clear(c.members)
		clear(c.claims)
		if len(c.shares) == 0 {
			delete(o.crowds, key)
		}
	}
}

// hearLease takes a renewal or the end of a lease. o.mu is held.
func (o *owners) hearLease(id string, e *entry, removed bool) {
	s := o.sign(id)
	if removed {
		s.gone = true
		o.kickAll()
		return
	}
	s.revision, s.stamp, s.heard = e.sequence(), e.meta.Timestamp, time.Now()
	if o.joined || o.lease == nil || o.lease.id != id {
		return
	}
	o.joined = true
	// What was there before is as old as the server says, so that the dead are not waited for twice: but a server whose
	// clock was set must not make the living look dead, who are heard within half the time.
	for _, other := range o.signs {
		if age := s.stamp.Sub(other.stamp); other.revision > 0 && age > 0 {
			other.heard = other.heard.Add(-min(age, LeaseTTL/2))
		}
	}
	o.kickAll()
}

// sign is what is known of a lease. One that is only heard of is believed for [LeaseTTL]. o.mu is held.
func (o *owners) sign(id string) *sign {
	s := o.signs[id]
	if s == nil {
		s = &sign{heard: time.Now()}
		o.signs[id] = s
	}
	return s
}

// crowd is what is known of a group. o.mu is held.
func (o *owners) crowd(group string) *crowd {
	c := o.crowds[group]
	if c == nil {
		c = newCrowd()
		o.crowds[group] = c
	}
	return c
}

func (c *crowd) kick() {
	for s := range c.shares {
		s.kick()
	}
}

func (o *owners) kickAll() {
	for _, c := range o.crowds {
		c.kick()
	}
}

// enter lets a share hear of changes; leave is the reverse.
func (o *owners) enter(s *share) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.crowd(s.group).shares[s] = true
}

func (o *owners) leave(s *share) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.crowd(s.group).shares, s)
}

func leaseKey(id string) string             { return "lease." + id }
func memberKey(group, member string) string { return "member." + group + "." + member }
func ownerKey(group string, partition int) string {
	return "owner." + group + "." + strconv.Itoa(partition)
}
