package transporttest

import (
	"bufio"
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
// and after each step, so that others know what it did when it is killed. It ends with ctx.
//
//	publish ADDRESS PARTITIONS SOURCE   "sending ID", then "stored ID" or "rejected ID"
//	receive ADDRESS PARTITIONS          "ready", then "begin ID", "end ID" around each handling
func Work(ctx context.Context, b transport.Broker, args []string, out io.Writer) error {
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
		return w.receive(ctx)
	}
	return fmt.Errorf("work %q: want publish ADDRESS PARTITIONS SOURCE or receive ADDRESS PARTITIONS", args)
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

func (w *worker) receive(ctx context.Context) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	ready := func() { w.say("ready") }
	route := transport.Route{Channel: w.channel, Credit: transport.NewCredit(8), Ready: ready}
	return w.broker.Receive(ctx, route, func(d *transport.Delivery) {
		handlers.Go(func() {
			w.say("begin", d.Envelope.ID)
			select {
			case <-time.After(2 * time.Millisecond): // so that a kill comes in the middle of something
			case <-ctx.Done():
			}
			w.say("end", d.Envelope.ID)
			d.Settle(transport.Done)
		})
	})
}

// say writes one line with one Write, which a pipe passes on as a whole.
func (w *worker) say(words ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = io.WriteString(w.out, strings.Join(words, " ")+"\n") // a reader that is gone needs no answer
}

// process is a worker that runs, in a process of its own or in this one.
type process struct {
	die   func()
	ended chan struct{}
}

// kill ends the process as SIGKILL does, and returns when its last line has been heard.
func (p *process) kill() {
	p.die()
	<-p.ended
}

// process starts a worker; hear gets each line that it says. It is killed with the scene at the latest.
func (t Site) process(ctx context.Context, s *Scene, hear func(words []string), args ...string) *process {
	var p *process
	switch {
	case t.Command != nil:
		p = t.child(ctx, s, hear, args)
	case t.Crash != nil:
		p = t.simulated(ctx, s, hear, args)
	default:
		s.Fatalf("the target cannot kill a client; want Command or Crash, or a declaration")
	}
	s.Defer(func(context.Context) error {
		p.kill()
		return nil
	})
	return p
}

func (t Site) child(ctx context.Context, s *Scene, hear func([]string), args []string) *process {
	cmd := t.Command(ctx, args...)
	lines, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.Fatalf("starting a process to %v: %v", args, err)
	}
	p := &process{ended: make(chan struct{}), die: func() { _ = cmd.Process.Kill() }}
	s.Go(func() {
		defer close(p.ended)
		listen(lines, hear)
		_ = cmd.Wait() // it was killed
	})
	return p
}

// simulated runs the worker on a connection of its own. Kill breaks that before it silences the worker, so that
// whatever was said in between changed nothing at the broker.
func (t Site) simulated(ctx context.Context, s *Scene, hear func([]string), args []string) *process {
	b := t.Connect(ctx, s)
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	die := sync.OnceFunc(func() {
		if err := t.Crash(b); err != nil {
			s.Errorf("breaking a connection: %v", err)
		}
		_ = w.Close()
		cancel()
	})
	p := &process{ended: make(chan struct{}), die: die}
	s.Go(func() {
		_ = Work(ctx, b, args, w) // ends with an error: its connection is broken
		_ = w.Close()
	})
	s.Go(func() {
		defer close(p.ended)
		listen(r, hear)
	})
	return p
}

func listen(r io.Reader, hear func([]string)) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		hear(strings.Fields(lines.Text()))
	}
}
