package interop_test

import (
	"context"
	"hash/fnv"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/client"
)

// stranger is at a broker with the SDK and a client of the broker's own.
type stranger interface {
	// sender is what the SDK sends through, to where events of a subject belong. It returns when the broker has confirmed.
	sender(c channel, subject string) (protocol any, err error)
	// receiver is what the SDK receives through. It gets what is sent after receiver has returned.
	receiver(c channel) (protocol any, err error)
	// blurt sends something to the same place as sender, without the SDK and without a header.
	blurt(ctx context.Context, c channel, subject string, body []byte) error
	// decoded is the text of an attribute as the SDK gives it.
	decoded(attribute string) (string, error)
	close()
}

// partition of a subject in a channel: 0 where there is no order, else FNV-1a with 32 bits modulo the number of partitions.
func (c channel) partition(subject string) int {
	if c.partitions == 0 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(subject)) // a hash never fails
	return int(h.Sum32() % uint32(c.partitions))
}

// tell sends an event by the SDK, in the mode that ctx asks for.
func tell(ctx context.Context, t *testing.T, s stranger, c channel, e cloudevents.Event) {
	t.Helper()
	protocol, err := s.sender(c, e.Subject())
	if err != nil {
		t.Fatalf("a sender to %s: %v", c.address, err)
	}
	sdk, err := cloudevents.NewClient(protocol)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := sdk.Send(ctx, e); cloudevents.IsUndelivered(err) {
		t.Fatalf("sending %s to %s: %v", e.ID(), c.address, err)
	}
}

// listen has the SDK receive until the test ends.
func listen(t *testing.T, s stranger, c channel) <-chan cloudevents.Event {
	t.Helper()
	protocol, err := s.receiver(c)
	if err != nil {
		t.Fatalf("a receiver of %s: %v", c.address, err)
	}
	sdk, err := cloudevents.NewClient(protocol, client.WithPollGoroutines(1))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	heard, ended := make(chan cloudevents.Event, 64), make(chan error, 1)
	go func() { ended <- sdk.StartReceiver(ctx, func(e cloudevents.Event) { heard <- e }) }()
	t.Cleanup(func() {
		cancel()
		if err := within(t, ended, "the SDK stops receiving"); err != nil {
			t.Errorf("the SDK received from %s and ended with %v; want nil", c.address, err)
		}
	})
	return heard
}
