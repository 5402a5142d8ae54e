package transporttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// Work is what a child process of the suite does with its own connection, as args say. It writes a line to out before
// and after each step, so that others know what it did when it is killed. It ends in order with ctx, and closes b.
//
//	publish ADDRESS PARTITIONS SOURCE   "sending ID", then "stored ID" or "rejected ID"
//	receive ADDRESS PARTITIONS          "ready", then "begin ID", "end ID" around each handling
//	gaps ADDRESS PARTITIONS             the same, but each fifth message is begun and never ended
//	order ADDRESS PARTITIONS            the same, each key in order, with times and the fence; see lanes
func Work(ctx context.Context, b transport.Broker, args []string, out io.Writer) error {
	err := work(ctx, b, args, out, nil)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, b.Close(ending))
}

// work is Work on a connection that stays open. The gate, if any, can hold it as SIGSTOP holds a process.
func work(ctx context.Context, b transport.Broker, args []string, out io.Writer, g *gate) error {
	if len(args) < 3 {
		return fmt.Errorf("work %q: want a verb, an address and a number of partitions", args)
	}
	partitions, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("work %q: partitions: %w", args, err)
	}
	c := transport.Channel{Address: args[1], Pattern: transport.Queue, Partitions: partitions}
	if err := b.Declare(ctx, []transport.Channel{c}); err != nil {
		return fmt.Errorf("work %q: %w", args, err)
	}
	w := &worker{broker: b, channel: c, out: out}
	switch {
	case args[0] == "publish" && len(args) == 4:
		w.publish(ctx, args[3])
		return nil
	case args[0] == "receive" && len(args) == 3:
		return w.receive(ctx, g)
	case args[0] == "gaps" && len(args) == 3:
		return w.gaps(ctx)
	case args[0] == "order" && len(args) == 3:
		return w.order(ctx, g)
	}
	return fmt.Errorf("work %q: want publish ADDRESS PARTITIONS SOURCE, or receive, gaps or order ADDRESS PARTITIONS", args)
}

type worker struct {
	broker  transport.Broker
	channel transport.Channel

	mu  sync.Mutex
	out io.Writer
}

// maxWork bounds what one worker publishes, should nobody kill it.
const maxWork = 20_000

func (w *worker) publish(ctx context.Context, source string) {
	const batch = 4
	for n := 0; n < maxWork && ctx.Err() == nil; n += batch {
		messages := make([]*transport.Envelope, batch)
		for i := range messages {
			messages[i] = message(w.channel, source, "k"+strconv.Itoa(i), n+i)
			w.say("sending", messages[i].ID)
		}
		for i, r := range w.broker.Send(ctx, messages) {
			switch {
			case r.Err == nil:
				w.say("stored", messages[i].ID)
			case errors.Is(r.Err, transport.ErrNotSent), errors.Is(r.Err, transport.ErrRefused):
				w.say("rejected", messages[i].ID)
			}
		}
	}
}

func (w *worker) receive(ctx context.Context, g *gate) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	ready := func() { w.say("ready") }
	route := transport.Route{Channel: w.channel, Credit: transport.NewCredit(8), Ready: ready}
	return w.broker.Receive(ctx, route, func(d *transport.Delivery) {
		handlers.Go(func() {
			g.pass()
			w.say("begin", d.Envelope.ID)
			select {
			case <-time.After(2 * time.Millisecond): // so that a kill comes in the middle of something
			case <-ctx.Done():
			}
			g.pass()
			w.say("end", d.Envelope.ID)
			d.Settle(transport.Done)
		})
	})
}

func (w *worker) gaps(ctx context.Context) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	ready := func() { w.say("ready") }
	return w.broker.Receive(ctx, transport.Route{Channel: w.channel, Ready: ready}, func(d *transport.Delivery) {
		w.say("begin", d.Envelope.ID)
		if skips(d.Envelope.ID) {
			handlers.Go(func() {
				<-ctx.Done()
				d.Settle(transport.Return)
			})
			return
		}
		w.say("end", d.Envelope.ID)
		d.Settle(transport.Done)
	})
}

// say writes one line with one Write, which a pipe passes on as a whole.
func (w *worker) say(words ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = io.WriteString(w.out, strings.Join(words, " ")+"\n") // a reader that is gone needs no answer
}
