package main

import (
	"context"
	"errors"
	"hash/fnv"
	"os"
	"time"

	"github.com/parley-io/parley"
)

// stderr is the worker's, which the crew keeps in a file.
type stderr struct{}

func (stderr) Write(b []byte) (int, error) { return os.Stderr.Write(b) }

const (
	// slowTime is how long the handler of a slow message takes.
	slowTime = 100 * time.Millisecond
	// immediately and later are the retries of free commands: one at once and one delayed, so that each way is taken.
	immediately, later = 1, time.Second
	// attempts are what comes of that.
	attempts = 1 + immediately + 1
)

// errPoison is what the handler of a poisoned message fails with.
var errPoison = errors.New("poisoned")

// handle handles what comes until ctx is done, and then ends in order.
func (w *worker) handle(ctx context.Context) error {
	net, client, err := w.open(ctx)
	if err != nil {
		return err
	}
	service, err := parley.NewService(client, w.registration(), parley.Grace(0))
	if err != nil {
		return errors.Join(err, closeNetwork(ctx, net))
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }() // waited for below
	select {
	case <-service.Ready():
		w.tellf("ready")
		err = <-ended
	case err = <-ended:
	}
	w.leave(ctx, net)
	return err
}

func (w *worker) registration() parley.Registration {
	concurrency := parley.Concurrency(max(w.Concurrency, 1))
	if w.Free {
		return free.Handle(w.do, concurrency, parley.Retries(immediately, later))
	}
	return inOrder.Handle(w.do, concurrency)
}

// do handles one message.
func (w *worker) do(ctx context.Context, l load) error {
	w.say("begin", l)
	if l.Kind == poison {
		w.say("failed", l)
		return errPoison
	}
	takes := time.Duration(w.Takes)
	if l.Kind == slow {
		takes = slowTime
	}
	if !sleep(ctx, takes) {
		return context.Cause(ctx) // another process has it
	}
	w.say("end", l)
	return nil
}

// kindOf makes one message in a hundred poisoned, another one slow, one in a thousand too large and another one strange,
// the same for each message whenever it is asked.
func kindOf(l load) kind {
	h := fnv.New32a()
	_, _ = h.Write([]byte(l.Lane)) // a hash never fails
	switch at := (h.Sum32() + uint32(l.Number)) % 1000; {
	case at == 1:
		return oversize
	case at == 2:
		return stranger
	case at%100 == 3:
		return poison
	case at%100 == 4:
		return slow
	}
	return good
}
