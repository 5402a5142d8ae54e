package simulate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/fault"
	"github.com/parley-io/parley/transport/mem"
)

// Play plays s in a bubble of its own and says which promises were broken, nothing if none. It fails t only for what the
// testing package itself finds, a data race.
func (s Schedule) Play(t *testing.T) (r Report) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil { // goroutines that wait for ever
			r.Broken = append(r.Broken, fmt.Sprint(p))
		}
	}()
	synctest.Test(t, func(*testing.T) { r = newWorld(s).play() })
	return r
}

// Report is what came of a schedule.
type Report struct {
	Broken []string // promises that were broken, for people; none = all is well
	Story  []string // if Broken: what happened, a line each
}

// world is a schedule that is being played.
type world struct {
	Schedule
	fabric   *mem.Fabric
	injector *fault.Injector
	rules    []fault.Rule
	wasAway  bool // the broker, once
	slots    []*slot
	senders  map[string]chan *transport.Envelope // by address
	end      chan struct{}                       // closed: everything stops
	all      sync.WaitGroup                      // everything but the senders
	sending  sync.WaitGroup
	notes    *notes

	mu     sync.Mutex // guards what follows
	number int        // of processes
	sender *mem.Process
	downs  map[string]time.Time // by receiver: until when what it depends on is down
}

func newWorld(s Schedule) *world {
	w := &world{
		Schedule: s, fabric: mem.New(mem.WithDedupe(s.World.Dedupe)), injector: fault.New(),
		senders: make(map[string]chan *transport.Envelope), end: make(chan struct{}), notes: newNotes(), downs: make(map[string]time.Time),
	}
	for i := range s.World.Slots {
		w.slots = append(w.slots, &slot{world: w, number: i, orders: make(chan time.Duration, len(s.Steps))})
	}
	return w
}

// play lets everything happen and asks the oracle.
func (w *world) play() Report {
	begin := time.Now()
	channels := []transport.Channel{delivery.DeadLetters(), delivery.StoppedKeys(), ledger.Stream()}
	for _, p := range w.World.Places {
		channels = append(channels, p.Channel)
	}
	if err := w.fabric.Process("declare").Broker().Declare(context.Background(), channels); err != nil {
		return Report{Broken: []string{err.Error()}}
	}
	for _, p := range w.World.Places {
		queue := make(chan *transport.Envelope, len(w.Steps))
		w.senders[p.Channel.Address] = queue
		w.sending.Go(func() { w.sendAll(queue) })
	}
	for _, s := range w.slots {
		w.all.Go(s.run)
	}
	quiet := false
	until := func(at time.Duration) {
		if at > calm && !quiet {
			quiet = true
			time.Sleep(time.Until(begin.Add(calm)))
			w.calm()
		}
		time.Sleep(time.Until(begin.Add(at)))
	}
	for _, x := range w.Steps {
		until(x.At)
		x.do(w)
	}
	until(calm + patient)
	for _, queue := range w.senders {
		close(queue)
	}
	w.sending.Wait()
	close(w.end)
	w.all.Wait()
	r := Report{Broken: newOracle(w).judge()}
	if len(r.Broken) > 0 {
		r.Story = w.notes.story(begin)
	}
	return r
}

// calm ends all faults.
func (w *world) calm() {
	w.rules = nil
	w.set()
	w.fabric.Start()
	for _, s := range w.slots {
		s.calm()
	}
	w.senderProcess().CrashAt(mem.BeforeStore, 0)
	w.senderProcess().CrashAt(mem.BeforeConfirm, 0)
}

func (w *world) send(e *transport.Envelope) {
	sent := *e
	w.notes.send(&sent)
	w.senders[e.Address] <- &sent
}

// sendAll is the one sender of a channel, so that the order of sending is known.
func (w *world) sendAll(queue <-chan *transport.Envelope) {
	for e := range queue {
		batch := []*transport.Envelope{e}
		for len(queue) > 0 {
			batch = append(batch, <-queue)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		for i, r := range delivery.Send(ctx, w.connect(w.senderProcess(), "sender", nil), batch) {
			w.notes.sent(batch[i].ID, r)
		}
		cancel()
	}
}

// senderProcess is a process for the senders that lives.
func (w *world) senderProcess() *mem.Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sender == nil || isClosed(w.sender.Dead()) {
		w.sender = w.process("sender")
	}
	return w.sender
}

func (w *world) crashSender(point mem.Point, n int) { w.senderProcess().CrashAt(point, n) }

// process is a new one. w.mu is held.
func (w *world) process(name string) *mem.Process {
	w.number++
	return w.fabric.Process(fmt.Sprintf("%s-%d", name, w.number))
}

func (w *world) away(long time.Duration) {
	w.wasAway = true
	w.fabric.Stop()
	w.notes.changef("the broker is away")
	w.notes.standStill(nil, long)
	time.AfterFunc(long, func() {
		w.fabric.Start()
		w.notes.changef("the broker is back")
	})
}

// outage lets all handlers of a receiver fail for a while.
func (w *world) outage(receiver string, long time.Duration) {
	w.notes.changef("what %s depends on is down", receiver)
	time.AfterFunc(long, func() { w.notes.changef("what %s depends on is back", receiver) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.downs[receiver] = time.Now().Add(long)
}

func (w *world) isDown(receiver string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.downs[receiver])
}

// rule adds a rule of the language of package fault.
func (w *world) rule(text string) {
	rules, err := fault.Parse(text)
	if err != nil {
		w.notes.brokenf("the schedule: %v", err)
		return
	}
	w.rules = append(w.rules, rules...)
	w.set()
	if r := rules[0]; r.Target == fault.Receive || r.Target == fault.Broker {
		for _, s := range w.slots {
			if i := s.now(); i != nil && (r.At == "" || r.At == s.name()) {
				w.notes.trouble(i, "cut", r.For)
			}
		}
	}
}

func (w *world) set() {
	if err := w.injector.Set(w.rules); err != nil {
		w.notes.brokenf("the schedule: %v", err)
	}
}

// redrive sends every open dead letter again, as somebody who is patient for half a minute.
func (w *world) redrive() {
	w.all.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		b := w.connect(w.senderProcess(), "sender", nil)
		dead, err := graveyard(ctx, w.operator(), w.notes)
		if err != nil {
			return // the broker is away
		}
		for _, d := range dead {
			err := delivery.Redrive(ctx, b, ledger.Discard, d, "somebody")
			w.notes.redriven(d, err)
		}
	})
}

// operator is a connection without faults.
func (w *world) operator() *mem.Broker {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process("operator").Broker()
}

// graveyard are the open dead letters: those that nobody redrove yet.
func graveyard(ctx context.Context, b transport.Broker, n *notes) (open []*delivery.DeadLetter, err error) {
	dead, redriven, err := letters(ctx, b, n)
	done := make(map[string]bool)
	for _, r := range redriven {
		done[strings.Join([]string{r.Receiver, r.ID, r.Copy}, "/")] = true
	}
	for _, d := range dead {
		at := strings.Join([]string{d.Receiver, d.ID, d.Copy}, "/")
		if !done[at] {
			done[at] = true // it may be there twice
			open = append(open, d.DeadLetter)
		}
	}
	return open, err
}

// letter is a dead letter and when it was stored.
type letter struct {
	*delivery.DeadLetter
	at time.Time
}

// letters are all records of the stream of dead letters.
func letters(ctx context.Context, b transport.Broker, n *notes) (dead []letter, redriven []*delivery.Redriven, err error) {
	err = read(ctx, b, delivery.DeadLetters(), func(d *transport.Delivery) {
		x, r, err := delivery.ReadDeadLetter(d.Envelope)
		switch {
		case err != nil:
			n.brokenf("a dead letter can't be read: %v", err)
		case x != nil:
			dead = append(dead, letter{x, d.Accepted})
		default:
			redriven = append(redriven, r)
		}
	})
	return dead, redriven, err
}

// read reads what a stream holds now.
func read(ctx context.Context, b transport.Broker, c transport.Channel, each func(*transport.Delivery)) error {
	err := b.Receive(ctx, transport.Route{
		Channel: c, From: transport.Position{Start: true}, Until: transport.Position{Time: time.Now()},
	}, func(d *transport.Delivery) {
		each(d)
		d.Settle(transport.Done)
	})
	return errors.Join(err, ctx.Err())
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
