package simulate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// notes is the log outside of everything that is judged. Safe for concurrent use.
type notes struct {
	mu          sync.Mutex
	complaints  []string
	messages    map[string]*message // by id
	runs        []*run
	filtered    map[string]time.Time // receiver id: when it was first not wanted
	troubles    map[*instance][]trouble
	standstills []standstill      // as they began
	changes     []change          // what came, went or broke
	copies      map[identity]int  // how often the broker may have stored it
	positions   map[string]uint64 // address id: of the message's first copy
	transitions []ledger.Transition
	redrives    []redrive
	leavings    []leaving
}

// message is what a sender knows of a message.
type message struct {
	*transport.Envelope
	confirmed time.Time // zero = it is not known to be stored
	refused   bool      // or not sent: it is certainly not stored
}

// run is a run of a handler in a process that lived when it began.
type run struct {
	who          *instance
	receiver, id string
	copy         string
	attempt      int
	envelope     *transport.Envelope
	from, to     time.Time // to is zero while it runs
	outcome      outcome
	counts       bool // its end was in a process that lived
}

func (r *run) String() string {
	return fmt.Sprintf("%s at %s in %s: attempt %d%s %s", r.id, r.receiver, r.who.name, r.attempt, r.copy, r.outcome)
}

// trouble is a time in which what a process did may have been in vain.
type trouble struct {
	what     string
	from, to time.Time
}

// standstill is a time in which no outcome of a process gets to the broker: it is stopped, or the broker is away.
type standstill struct {
	who      *instance // nil = each
	from, to time.Time
}

type change struct {
	at   time.Time
	what string
}

type identity struct{ id, copy, group string }

type redrive struct {
	*delivery.DeadLetter
	at  time.Time
	err error
}

// leaving is a process that ended before its handlers.
type leaving struct {
	who *instance
	at  time.Time
	err error
}

func newNotes() *notes {
	return &notes{
		messages: make(map[string]*message), filtered: make(map[string]time.Time), troubles: make(map[*instance][]trouble),
		copies: make(map[identity]int), positions: make(map[string]uint64),
	}
}

func (n *notes) brokenf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.complaints = append(n.complaints, fmt.Sprintf(format, args...))
}

func (n *notes) send(e *transport.Envelope) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.messages[e.ID] = &message{Envelope: e}
}

// sent notes what a sender was told.
func (n *notes) sent(id string, r transport.Receipt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch m := n.messages[id]; {
	case r.Err == nil:
		m.confirmed = time.Now()
	case errors.Is(r.Err, transport.ErrNotSent) || errors.Is(r.Err, transport.ErrRefused):
		m.refused = true
	}
}

// stored notes what the broker was given.
func (n *notes) stored(e *transport.Envelope, r transport.Receipt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.Err == nil || !errors.Is(r.Err, transport.ErrNotSent) && !errors.Is(r.Err, transport.ErrRefused) {
		n.copies[identity{e.ID, e.Copy, e.Group}]++
	}
}

// deliver notes the place of a message in its channel.
func (n *notes) deliver(d *transport.Delivery) {
	position, err := strconv.ParseUint(d.Position, 10, 64)
	if err != nil {
		n.brokenf("a delivery of %s has position %q", d.Envelope.ID, d.Position)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	at := d.Envelope.Address + " " + d.Envelope.ID
	if p, ok := n.positions[at]; d.Envelope.Copy == "" && (!ok || position < p) {
		n.positions[at] = position
	}
}

func (n *notes) filter(receiver, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at := receiver + " " + id; n.filtered[at].IsZero() {
		n.filtered[at] = time.Now()
	}
}

func (n *notes) begin(who *instance, receiver string, e *transport.Envelope) *run {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := &run{
		who: who, receiver: receiver, id: e.ID, copy: e.Copy, attempt: max(e.Attempt, 1), envelope: e, from: time.Now(), outcome: "runs",
	}
	n.runs = append(n.runs, r)
	return r
}

func (n *notes) end(r *run, o outcome) {
	dead := r.who.dead()
	n.mu.Lock()
	defer n.mu.Unlock()
	r.to, r.outcome, r.counts = time.Now(), o, !dead
}

func (n *notes) trouble(i *instance, what string, long time.Duration) {
	n.changef("%s is %s", i.name, what)
	if long > 0 {
		time.AfterFunc(long, func() { n.changef("%s is no longer %s", i.name, what) })
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	n.troubles[i] = append(n.troubles[i], trouble{what, now, now.Add(long)})
}

func (n *notes) standStill(who *instance, long time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	n.standstills = append(n.standstills, standstill{who, now, now.Add(long)})
}

func (n *notes) troubled(i *instance) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.troubles[i]) > 0
}

// changef notes that something came, went or broke.
func (n *notes) changef(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes = append(n.changes, change{time.Now(), fmt.Sprintf(format, args...)})
}

func (n *notes) record(t ledger.Transition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t.At = time.Now()
	n.transitions = append(n.transitions, t)
}

func (n *notes) redriven(d *delivery.DeadLetter, err error) {
	n.changef("%s of %s is redriven: %v", d.ID, d.Receiver, err)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.redrives = append(n.redrives, redrive{d, time.Now(), err})
}

func (n *notes) incomplete(i *instance, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leavings = append(n.leavings, leaving{i, time.Now(), err})
}

// story is what happened, a line for each thing, with times since the beginning.
func (n *notes) story(begin time.Time) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := slices.Clone(n.changes)
	for _, r := range n.runs {
		all = append(all, change{r.from, fmt.Sprintf("%s begins %s%s at %s, attempt %d", r.who.name, r.id, r.copy, r.receiver, r.attempt)})
		if !r.to.IsZero() {
			all = append(all, change{r.to, fmt.Sprintf("%s: %s%s at %s, attempt %d %s", r.who.name, r.id, r.copy, r.receiver, r.attempt, r.outcome)})
		}
	}
	slices.SortStableFunc(all, func(a, b change) int { return a.at.Compare(b.at) })
	lines := make([]string, len(all))
	for i, c := range all {
		lines[i] = fmt.Sprintf("%10v  %s", c.at.Sub(begin), c.what)
	}
	return lines
}

// generation is how many redrives led to a copy: "r2a3" is of the second.
func generation(copied string) int {
	var n int
	if rest, ok := strings.CutPrefix(copied, "r"); ok {
		_, _ = fmt.Sscanf(rest, "%d", &n)
	}
	return n
}
