package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

// The form of a channel in its stream's metadata.
const (
	metaFormat     = "parley-format" // of these entries, and of what belongs to the stream: "2"
	metaAddress    = "parley-address"
	metaPattern    = "parley-pattern"
	metaPartitions = "parley-partitions"
	metaRetain     = "parley-retain"
	metaBytes      = "parley-retain-bytes"
)

// Declare implements [transport.Broker]. A Queue or Topic keeps what is older than Retain; see the package's comment.
func (b *Broker) Declare(ctx context.Context, channels []transport.Channel) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	var errs []error
	for _, c := range channels {
		errs = append(errs, c.Validate())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("nats: declare: %w", err)
	}
	if err := b.ask(ctx, b.names.delayStream(), b.startMover); err != nil {
		return fmt.Errorf("nats: declare: make the place of delayed messages: %w", undeclared(err))
	}
	for _, c := range channels {
		err := b.ask(ctx, b.names.stream(c.Address), func(ctx context.Context) error { return b.declare(ctx, c) })
		if err != nil {
			errs = append(errs, fmt.Errorf("nats: declare %s: %w", c.Address, undeclared(err)))
		}
	}
	return errors.Join(errs...)
}

// askAgain is after how long a cluster is asked again that has not answered.
const askAgain = answerLimit / 2

// ask does what makes something exist, and does it again where there is no answer: a cluster that elects a leader loses
// requests.
func (b *Broker) ask(ctx context.Context, stream string, do func(context.Context) error) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, answerLimit)
		defer cancel()
	}
	for {
		once, cancel := context.WithTimeout(ctx, askAgain)
		err := do(once)
		silent := once.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !silent {
			return err
		}
		if denied := b.denied(stream); denied != nil {
			return denied
		}
	}
}

// undeclared says what a failure to declare means for repeating.
func undeclared(err error) error {
	if useless(err) {
		return err
	}
	return certainly(err)
}

// declare makes a channel exist and this Broker able to send to it.
func (b *Broker) declare(ctx context.Context, c transport.Channel) error {
	if b.lane(c.Address, c) != nil {
		return nil
	}
	if _, err := b.create(ctx, c); err != nil {
		return err
	}
	stream := b.names.stream(c.Address)
	if err := b.audience.learn(ctx, stream); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.lanes[stream]; old == nil || old.channel.Address == "" { // the mover may have begun to use it
		b.lanes[stream] = newLane(b, stream, c)
	}
	return nil
}

// lane is where messages of an address go, nil if it is not declared, or not in the form of c (unless that is zero).
func (b *Broker) lane(address string, c transport.Channel) *lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lanes[b.names.stream(address)]
	if l == nil || l.channel.Address == "" || c.Address != "" && l.channel != c {
		return nil
	}
	return l
}

// create makes a channel's stream, or finds that it is there in the same form.
func (b *Broker) create(ctx context.Context, c transport.Channel) (*jetstream.StreamInfo, error) {
	s, err := b.js.CreateStream(ctx, b.streamConfig(c))
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		s, err = b.js.Stream(ctx, b.names.stream(c.Address))
	}
	if err != nil {
		return nil, err
	}
	found := s.CachedInfo().Config
	if err := sameForm(c, found.Metadata); err != nil {
		return nil, err
	}
	return s.CachedInfo(), safe(b.streamConfig(c), found)
}

func (b *Broker) streamConfig(c transport.Channel) jetstream.StreamConfig {
	s := jetstream.StreamConfig{
		Name:               b.names.stream(c.Address),
		Subjects:           b.names.subjects(c),
		Storage:            jetstream.FileStorage,
		Replicas:           b.options.Replicas,
		Discard:            jetstream.DiscardNew,
		MaxBytes:           -1,
		Duplicates:         DedupeWindow,
		AllowAtomicPublish: true,
		Metadata:           metadata(c),
	}
	if c.RetainBytes > 0 {
		s.MaxBytes = c.RetainBytes
	}
	switch c.Pattern {
	case transport.Queue:
		if c.RetainBytes > 0 { // exactly: what was handled must not take room until it is swept
			s.Retention = jetstream.WorkQueuePolicy
		}
	case transport.Topic:
		s.Retention = jetstream.InterestPolicy
	case transport.Stream:
		s.Retention, s.Discard = jetstream.LimitsPolicy, jetstream.DiscardOld
		s.MaxAge = c.Retain
		if c.Retain > 0 {
			s.Duplicates = min(s.Duplicates, c.Retain) // the server wants that
		}
	}
	return s
}

// safe reports the settings of an existing stream that lose messages which the settings that it should have keep.
func safe(want, found jetstream.StreamConfig) error {
	var bad []string
	note := func(wrong bool, format string, args ...any) {
		if wrong {
			bad = append(bad, fmt.Sprintf(format, args...))
		}
	}
	note(found.Storage != want.Storage, "storage %v instead of %v", found.Storage, want.Storage)
	note(!retains(want, found), "retention %v instead of %v", found.Retention, want.Retention)
	note(found.Discard != want.Discard, "discard %v instead of %v", found.Discard, want.Discard)
	note(found.PersistMode != want.PersistMode, "persist mode %v instead of %v", found.PersistMode, want.PersistMode)
	note(found.Replicas < want.Replicas, "%d replicas instead of %d", found.Replicas, want.Replicas)
	note(found.MaxAge > 0 && want.MaxAge == 0, "a maximum age of %v instead of none", found.MaxAge)
	note(found.Discard == jetstream.DiscardOld && found.MaxBytes > 0 && want.MaxBytes <= 0, "a maximum of %d bytes instead of none", found.MaxBytes)
	note(found.MaxMsgs > 0 || found.MaxMsgsPerSubject > 0, "a maximum number of messages instead of none")
	if len(bad) == 0 {
		return nil
	}
	return fmt.Errorf("%w: the stream %s has %s: edit it, or use another address", transport.ErrRefused, found.Name, strings.Join(bad, ", "))
}

// retains reports whether an existing stream keeps what it should until it is handled. A Queue's does with either of two
// retentions: a stream that was made with that of a work queue goes on with it, as a server does not change it.
func retains(want, found jetstream.StreamConfig) bool {
	either := []jetstream.RetentionPolicy{jetstream.LimitsPolicy, jetstream.WorkQueuePolicy}
	return found.Retention == want.Retention ||
		want.Metadata[metaPattern] == transport.Queue.String() && slices.Contains(either, found.Retention)
}

func metadata(c transport.Channel) map[string]string {
	return map[string]string{
		metaFormat:     "2",
		metaAddress:    c.Address,
		metaPattern:    c.Pattern.String(),
		metaPartitions: strconv.Itoa(c.Partitions),
		metaRetain:     c.Retain.String(),
		metaBytes:      strconv.FormatInt(c.RetainBytes, 10),
	}
}

// sameForm reports how the form of an existing stream differs from c.
func sameForm(c transport.Channel, found map[string]string) error {
	want := metadata(c)
	if found[metaFormat] != want[metaFormat] {
		return fmt.Errorf("%w: a stream of that name exists that Parley did not make, or another version of it", transport.ErrRefused)
	}
	for k, v := range want {
		if found[k] != v {
			return fmt.Errorf("%w: it exists as a %s, and is declared as a %s: let both sides declare the same, or use another address",
				transport.ErrRefused, form(found), form(want))
		}
	}
	return nil
}

func form(m map[string]string) string {
	retain, _ := time.ParseDuration(m[metaRetain]) // what is not ours reads as 0
	s := fmt.Sprintf("%s of %s partitions", m[metaPattern], m[metaPartitions])
	if retain > 0 {
		s += " kept " + retain.String()
	}
	if n := m[metaBytes]; n != "" && n != "0" {
		s += " up to " + n + " bytes"
	}
	return s
}
