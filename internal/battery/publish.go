package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
)

const (
	// openLimit is for opening a network, also while its broker is killed again and again.
	openLimit = 3 * time.Minute
	// lastLimit is how long what is being sent has once the process is told to end.
	lastLimit = 30 * time.Second
	// tellAfter is how long a message is tried without a word in the process's log.
	tellAfter = 10 * time.Second
	// behindLimit is how far a lane may fall behind its times before it gives up to catch up.
	behindLimit = time.Second
)

// errDismissed says that a worker was told to end before it had begun, which is in order.
var errDismissed = errors.New("told to end while it opened its network")

// open opens the network of the task and a client on it.
func (w *worker) open(ctx context.Context) (*parley.Network, *parley.Client, error) {
	within, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	net, err := network.Open(within, w.URL, network.WithSource(w.Name))
	if err != nil && ctx.Err() != nil {
		return nil, nil, errDismissed
	}
	if err != nil {
		return nil, nil, err
	}
	client, err := parley.NewClient("battery", net, parley.WithLogger(slog.New(slog.NewTextHandler(stderr{}, nil))))
	if err != nil {
		return nil, nil, errors.Join(err, net.Close(context.WithoutCancel(ctx)))
	}
	return net, client, nil
}

// publish sends the messages of all lanes until they are sent or ctx is done.
func (w *worker) publish(ctx context.Context) error {
	net, client, err := w.open(ctx)
	if err != nil {
		return err
	}
	var lanes sync.WaitGroup
	for i := range w.Lanes {
		lanes.Go(func() { w.lane(ctx, client, fmt.Sprintf("%s.%d", w.Name, i)) })
	}
	lanes.Wait()
	w.leave(ctx, net)
	return nil
}

// leave closes the network at the end. What cannot be done in time, such as the last records of the ledger while the broker
// is killed, is counted and told there.
func (w *worker) leave(ctx context.Context, net *parley.Network) {
	if err := closeNetwork(ctx, net); err != nil {
		w.tellf("note %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	w.tellf("done")
}

func closeNetwork(ctx context.Context, net *parley.Network) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLimit)
	defer cancel()
	return net.Close(ctx)
}

func (w *worker) lane(ctx context.Context, client *parley.Client, name string) {
	next := time.Now()
	for n := 1; w.Most == 0 || n <= w.Most; n++ {
		if !sleep(ctx, time.Until(next)) {
			return
		}
		if next = next.Add(time.Duration(w.Every)); time.Since(next) > behindLimit {
			next = time.Now()
		}
		l := load{Lane: name, Number: n}
		if w.Mixed {
			if l.Kind = kindOf(l); l.Kind == oversize {
				l.Ballast = strings.Repeat("x", 2<<20) // more than any message may carry
			}
		}
		w.send(ctx, client, l)
	}
}

// send sends one message, again and again under the same id, until its outcome is known or ctx has long been done.
func (w *worker) send(ctx context.Context, client *parley.Client, l load) {
	options := []parley.SendOption{parley.WithID(parley.MessageID(fmt.Sprintf("%s-%d", l.Lane, l.Number)))}
	var due int64
	if !w.Due.IsZero() {
		at := w.due(l)
		options, due = append(options, parley.NotBefore(at)), at.UnixNano()
	}
	w.say("sending", l, due)
	ctx, cancel := outlast(ctx, lastLimit)
	defer cancel()
	certain := true // no try can have been stored
	for patient := time.Now().Add(tellAfter); ; {
		err := w.put(ctx, client, l, options)
		if err == nil {
			w.say("stored", l)
			return
		}
		if errors.Is(err, transport.ErrRefused) && certain {
			w.say("refused", l)
			return
		}
		certain = certain && errors.Is(err, transport.ErrNotSent)
		if time.Now().After(patient) {
			patient = time.Now().Add(tellAfter)
			_, _ = fmt.Fprintf(stderr{}, "%s %d is still tried: %v\n", l.Lane, l.Number, err)
		}
		if !sleep(ctx, 10*time.Millisecond) {
			return
		}
	}
}

func (w *worker) put(ctx context.Context, client *parley.Client, l load, options []parley.SendOption) error {
	if l.Kind == stranger {
		return w.putStranger(ctx, client, l)
	}
	ctx, cancel := context.WithTimeout(ctx, lastLimit)
	defer cancel()
	command := inOrder
	if w.Free {
		command = free
	}
	_, err := command.Send(ctx, client, l, options...)
	return err
}

// putStranger sends what no client of this API can: a body that is none of the contract.
func (w *worker) putStranger(ctx context.Context, client *parley.Client, l load) error {
	ctx, cancel := context.WithTimeout(ctx, lastLimit)
	defer cancel()
	e := &transport.Envelope{
		ID: fmt.Sprintf("%s-%d", l.Lane, l.Number), Source: w.Name, Address: free.Address(), Time: time.Now(),
		ContentType: "application/json", Attempt: 1, Body: []byte("[" + strings.Repeat(" ", 10)),
	}
	return client.Accept(ctx, parley.StyleCommand, transport.Channel{Address: free.Address(), Pattern: transport.Queue}, []*transport.Envelope{e})[0].Err
}

// due is when a message is to be handled: those of a lane come evenly, and the lanes one after the other.
func (w *worker) due(l load) time.Time {
	each := time.Duration(w.Spread) / time.Duration(w.Most)
	h := fnv.New32a()
	_, _ = h.Write([]byte(l.Lane)) // a hash never fails
	return w.Due.Add(each*time.Duration(l.Number-1) + each*time.Duration(h.Sum32()%1000)/1000)
}

// outlast is a context that ends a while after another.
func outlast(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		defer cancel()
		sleep(longer, by)
	})
	return longer, func() { stop(); cancel() }
}

// sleep reports whether ctx was not done before.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
