package fault

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/transport"
)

// Injector decides which faults strike. It begins without rules, and then what it wraps is as it was. Safe for
// concurrent use.
type Injector struct {
	mu    sync.Mutex // one Set at a time
	rules atomic.Pointer[ruleset]
}

// New returns an Injector without rules.
func New() *Injector {
	i := new(Injector)
	i.rules.Store(&ruleset{changed: make(chan struct{})})
	return i
}

// Set replaces the rules. A rule that was there before keeps its time, its counters and its random decisions; the
// same rule twice is one. If one is invalid, none is set, and the error says everything that is wrong.
func (i *Injector) Set(rules []Rule) error {
	var errs []error
	for _, r := range rules {
		errs = append(errs, r.Validate())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	old, now := i.rules.Load(), time.Now()
	next := &ruleset{changed: make(chan struct{})}
	for _, r := range rules {
		r = r.normal()
		if next.find(r) == nil {
			a := old.find(r)
			if a == nil {
				a = &active{Rule: r, since: now, random: rand.NewPCG(r.Seed, 0)}
			}
			next.active = append(next.active, a)
		}
	}
	i.rules.Store(next)
	close(old.changed)
	return nil
}

// Status is a rule and what it has done here.
type Status struct {
	ID     string    `json:"id"` // see [Rule.ID]
	Rule   Rule      `json:"rule"`
	Since  time.Time `json:"since"`          // when it was set
	Until  time.Time `json:"until,omitzero"` // when it ends; zero = when it is removed
	Seen   uint64    `json:"seen"`           // what it could have struck
	Struck uint64    `json:"struck"`
}

// Rules are the present rules in their order, those whose time is over included. It changes nothing.
func (i *Injector) Rules() []Status {
	all := i.rules.Load().active
	s := make([]Status, len(all))
	for n, a := range all {
		a.mu.Lock()
		s[n] = Status{ID: a.ID(), Rule: a.Rule, Since: a.since, Until: a.until(), Seen: a.seen, Struck: a.struck}
		a.mu.Unlock()
	}
	return s
}

// HandleError is for whoever runs handlers of messages: asked before each attempt, it answers the error with which
// the attempt fails, or nil. An error is a [*transport.Error]; no fault on this side of a broker could fail an attempt
// honestly, because attempts are counted above it.
func (i *Injector) HandleError(service, address string) error {
	if s := i.strike(Handle, service, address); s.rule != nil {
		return s.rule.err()
	}
	return nil
}

// ruleset is not changed once it is in use, but for what each active counts.
type ruleset struct {
	active  []*active
	changed chan struct{} // closed when another one has replaced it
}

func (s *ruleset) find(r Rule) *active {
	if n := slices.IndexFunc(s.active, func(a *active) bool { return a.Rule == r }); n >= 0 {
		return s.active[n]
	}
	return nil
}

// active is a rule in use.
type active struct {
	Rule
	since time.Time

	mu           sync.Mutex
	random       *rand.PCG
	seen, struck uint64
}

func (a *active) until() time.Time {
	if a.For == 0 {
		return time.Time{}
	}
	return a.since.Add(a.For)
}

func (a *active) over(now time.Time) bool { return a.For > 0 && now.Sub(a.since) >= a.For }

// draw decides about one more thing: whether the rule strikes it, and a second decision for rules that do two things.
// The decisions of a rule follow from its seed alone.
func (a *active) draw() (strikes, coin bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen++
	n := a.random.Uint64()
	strikes = a.Share == 0 || float64(n>>11)/(1<<53)*100 < a.Share
	if strikes {
		a.struck++
	}
	return strikes, n&1 == 1
}

// strike is what happens to one request or message.
type strike struct {
	delay time.Duration
	rule  *active // nil = nothing but the delay
	coin  bool
}

// verb of the rule that strikes; "" = none.
func (s strike) verb() Verb {
	if s.rule == nil {
		return ""
	}
	return s.rule.Verb
}

func (i *Injector) idle() bool { return len(i.rules.Load().active) == 0 }

// strike asks all rules in their order. The addresses of Parley itself are spared, so that what goes wrong can be watched.
func (i *Injector) strike(what Target, service, address string) (s strike) {
	rules := i.rules.Load().active
	if len(rules) == 0 || strings.HasPrefix(address, "parley.") {
		return s
	}
	now := time.Now()
	for _, a := range rules {
		if !a.concerns(what, service, address) || a.over(now) {
			continue
		}
		strikes, coin := a.draw()
		switch {
		case !strikes:
		case a.Verb == Delay:
			s.delay += a.Delay
		default:
			s.rule, s.coin = a, coin
			return s
		}
	}
	return s
}

// sleep waits d, and reports whether ctx was still alive after it.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
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

// gaveUp is the error of a request whose context has ended.
func gaveUp(ctx context.Context, notSent bool) *transport.Error {
	e := &transport.Error{Code: transport.Canceled, Message: "the caller gave up", NotSent: notSent, Cause: ctx.Err()}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.Code, e.Message = transport.DeadlineExceeded, "no answer before the deadline"
	}
	return e
}
