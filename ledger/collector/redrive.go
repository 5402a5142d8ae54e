package collector

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

const (
	jobsKept   = 100
	jobErrors  = 20
	jobLanes   = 8  // letters of one key are redriven one after another, others beside each other
	jobCredit  = 64 // letters in memory
	redriveFor = 10 * time.Second
)

// RedriveRequest begins a job, whose scope is frozen at once: exactly the dead letters that are open now. Where they stop
// their keys (see [delivery.Subscription.StopKey]) the scope is all open ones of these keys at that receiver, whatever
// their cause, and the job takes along what comes to stand behind them while it runs, so that the keys go on in the end.
type RedriveRequest struct {
	Cause  CauseName `json:"cause,omitzero"` // all open letters of a cause, by number or key
	IDs    []string  `json:"ids,omitzero"`   // or all open letters of these messages
	DryRun bool      `json:"dry_run,omitzero"`
	By     string    `json:"by,omitzero"` // who asks, for the trails; "" = "unknown"
}

// CauseName is the number or key of a cause. In JSON it may be a number too.
type CauseName string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (n *CauseName) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	t, err := d.ReadToken()
	if err == nil && t.Kind() != '"' && t.Kind() != '0' {
		err = fmt.Errorf("cause: want a number or a key, got %v", t)
	}
	if err == nil {
		*n = CauseName(t.String())
	}
	return err
}

// State of a Job.
const (
	JobDry         = "dry-run"     // this is what would be redriven
	JobQueued      = "queued"      // behind another one
	JobRunning     = "running"     // not all are sent
	JobSent        = "sent"        // some of them have no outcome yet
	JobDone        = "done"        // each has its outcome
	JobInterrupted = "interrupted" // the collector ended, or could not read the stream; what is not sent is still open
)

// Job is a redrive: Scope = Redriven + NotSent, Redriven = Handled + FailedAgain + Waiting once nothing is under way.
// Jobs are in the collector's memory: they end with it, what they did does not.
type Job struct {
	ID          string    `json:"job"`
	State       string    `json:"state"`
	By          string    `json:"by"`
	Cause       *Cause    `json:"cause,omitzero"` // as it was when the scope was frozen
	Frozen      time.Time `json:"frozen"`         // when the scope was
	Oldest      time.Time `json:"oldest,omitzero"`
	Scope       int       `json:"scope"`
	Redriven    int       `json:"redriven"`     // sent again
	Handled     int       `json:"handled"`      // of these
	FailedAgain int       `json:"failed_again"` // of these: are dead letters again
	Waiting     int       `json:"waiting"`      // of these: under way, or to be retried
	NotSent     int       `json:"not_sent"`
	Errors      []string  `json:"errors"` // why, the first few
	IDs         []string  `json:"ids"`    // of the scope, the first 20
}

// JobRequest asks for a job.
type JobRequest struct {
	Job  string `json:"job"`
	Wait string `json:"wait,omitzero"` // a duration, at most a minute: until it is done; "" = answer at once
}

// job is a Job in the making. The collector's lock guards it.
type job struct {
	id, by string
	state  string
	cause  *Cause
	frozen time.Time
	scope  []*letter // in the order of the stream; behind them those that the job took along
	sent   map[*letter]bool
	errors []string
}

// Redrive freezes a scope and begins a job, unless it is a dry run.
func (c *Collector) Redrive(_ context.Context, r RedriveRequest) (Job, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := &job{by: cmp.Or(r.By, "unknown"), frozen: c.now().UTC(), sent: make(map[*letter]bool)}
	switch {
	case (r.Cause == "") == (len(r.IDs) == 0):
		return Job{}, invalid("", "want either cause, a number or key as in /v1/failed, or ids")
	case r.Cause != "":
		one := c.failed.find(string(r.Cause))
		if one == nil {
			return Job{}, &transport.Error{Code: transport.NotFound, Message: fmt.Sprintf("no cause %q among the dead letters; `parley failed list` shows those there are", r.Cause)}
		}
		shown := one.shown(0)
		j.cause, j.scope = &shown, one.open()
	default:
		for _, id := range r.IDs {
			j.scope = append(j.scope, slices.DeleteFunc(slices.Clone(c.failed.byID[id]), taken)...)
		}
	}
	if len(j.scope) == 0 {
		return Job{}, &transport.Error{Code: transport.FailedPrecondition, Message: "nothing to redrive: no such dead letter is open, or another job has them"}
	}
	j.scope = append(j.scope, c.failed.ofKeys(stoppedBy(j.scope))...)
	slices.SortFunc(j.scope, inStream)
	j.scope = slices.Compact(j.scope)
	if r.DryRun {
		j.state = JobDry
		return c.report(j), nil
	}
	c.hire(j)
	return c.report(j), nil
}

// Job is the progress and outcome of a job.
func (c *Collector) Job(ctx context.Context, r JobRequest) (Job, error) {
	until, err := c.until(ctx, r.Wait)
	if err != nil {
		return Job{}, err
	}
	for {
		c.mu.Lock()
		i := slices.IndexFunc(c.jobs, func(j *job) bool { return j.id == r.Job })
		if i < 0 {
			c.mu.Unlock()
			return Job{}, &transport.Error{Code: transport.NotFound, Message: fmt.Sprintf("no redrive job %q: this collector keeps its last %d until it ends; the trails of the messages say what became of them", r.Job, jobsKept)}
		}
		report := c.report(c.jobs[i])
		c.mu.Unlock()
		if report.State == JobDone || report.State == JobInterrupted || !c.await(ctx, newWatch(), ledger.FoundKey, until) {
			return report, nil
		}
	}
}

// open are the letters that no job has.
func (c *cause) open() []*letter { return slices.DeleteFunc(slices.Clone(c.letters), taken) }

func taken(l *letter) bool { return l.redriven != nil || l.pending }

// hire puts a job into the queue.
func (c *Collector) hire(j *job) {
	number := 1
	if n := len(c.jobs); n > 0 {
		last, _ := strconv.Atoi(strings.TrimPrefix(c.jobs[n-1].id, "r"))
		number = last + 1
	}
	j.id, j.state = "r"+strconv.Itoa(number), JobQueued
	for _, l := range j.scope {
		l.pending = true
	}
	c.jobs = append(c.jobs, j)
	if len(c.jobs) > jobsKept && c.jobs[0].state != JobQueued && c.jobs[0].state != JobRunning {
		c.jobs = c.jobs[1:]
	}
	select {
	case c.hired <- struct{}{}:
	default:
	}
}

// report shows a job as it is.
func (c *Collector) report(j *job) Job {
	v := Job{
		ID: j.id, State: j.state, By: j.by, Cause: j.cause, Frozen: j.frozen, Scope: len(j.scope),
		Errors: append([]string{}, j.errors...), IDs: []string{},
	}
	for _, l := range j.scope {
		if len(v.IDs) < 20 {
			v.IDs = append(v.IDs, l.id)
		}
		if v.Oldest.IsZero() || l.last.Before(v.Oldest) {
			v.Oldest = l.last
		}
		if !j.sent[l] {
			v.NotSent++
			continue
		}
		v.Redriven++
		switch {
		case c.again(l) != nil:
			v.FailedAgain++
		case c.handled(l):
			v.Handled++
		default:
			v.Waiting++
		}
	}
	if v.State == JobSent && v.Waiting == 0 {
		v.State = JobDone
	}
	return v
}

// handled reports whether a message has reached its end without becoming a dead letter. The request for an operation
// has when the operation has begun, whatever becomes of that; a signal when it is taken, or when it comes too late.
func (c *Collector) handled(l *letter) bool {
	r, ok := c.index.Receiver(l.id, l.receiver)
	switch {
	case !ok:
		return false
	case l.cause.style == ledger.StyleOperation && r.State == ledger.Running:
		return true
	}
	return r.State == ledger.Handled || r.State == ledger.Unwanted || r.State == ledger.Unsuccessful || r.State == ledger.Abandoned
}

// work runs one job after another until ctx is done.
func (c *Collector) work(ctx context.Context, rec ledger.Recorder) {
	for {
		c.mu.Lock()
		i := slices.IndexFunc(c.jobs, func(j *job) bool { return j.state == JobQueued })
		var next *job
		if i >= 0 {
			next = c.jobs[i]
			next.state = JobRunning
		}
		c.mu.Unlock()
		if next != nil {
			c.run(ctx, rec, next)
			continue
		}
		select {
		case <-c.hired:
		case <-ctx.Done():
			return
		}
	}
}

// run redrives the scope of a job, and then, of keys that were stopped, what came to stand behind it meanwhile.
func (c *Collector) run(ctx context.Context, rec ledger.Recorder, j *job) {
	var err error
	for round := j.scope; err == nil && len(round) > 0; round = c.takeAlong(ctx, j, round) {
		err = c.send(ctx, rec, j, round)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	j.state = JobSent
	if err != nil {
		j.state = JobInterrupted
		j.errors = append(j.errors, err.Error())
	}
	for _, l := range j.scope {
		l.pending = false
	}
}

// send redrives letters, which are in the order of the stream: those of one key one after another.
func (c *Collector) send(ctx context.Context, rec ledger.Recorder, j *job, letters []*letter) error {
	var lanes [jobLanes]chan func()
	var workers sync.WaitGroup
	for i := range lanes {
		lanes[i] = make(chan func(), jobCredit)
		workers.Go(func() {
			for do := range lanes[i] {
				do()
			}
		})
	}
	err := c.each(ctx, letters, func(l *letter, d *delivery.DeadLetter, done func()) {
		lanes[lane(l)] <- func() { // never blocks: its capacity is the credit
			defer done()
			c.redriveOne(ctx, rec, j, l, d)
		}
	})
	for _, l := range lanes {
		close(l)
	}
	workers.Wait()
	return err
}

// redriveOne redrives one letter, unless somebody else did in the meantime.
func (c *Collector) redriveOne(ctx context.Context, rec ledger.Recorder, j *job, l *letter, d *delivery.DeadLetter) {
	c.mu.Lock()
	already := l.redriven != nil
	c.mu.Unlock()
	var err error
	if already {
		err = fmt.Errorf("message %s to %s: somebody else has redriven it meanwhile", l.id, l.receiver)
	} else {
		within, cancel := context.WithTimeout(ctx, redriveFor)
		defer cancel()
		err = delivery.Redrive(within, c.broker, rec, d, j.by)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		j.sent[l] = true
	} else if len(j.errors) < jobErrors {
		j.errors = append(j.errors, err.Error())
	}
}

func lane(l *letter) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(cmp.Or(l.key, l.id))) // a hash never fails
	return int(h.Sum32() % jobLanes)
}

// each reads the dead letters of some letters, which are in the order of the stream, and gives each of them to take;
// take calls done when it has it no more. each returns when all are done.
func (c *Collector) each(ctx context.Context, letters []*letter, take func(l *letter, d *delivery.DeadLetter, done func())) error {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	wanted := make(map[identity]*letter, len(letters))
	for _, l := range letters {
		wanted[l.identity] = l
	}
	from := transport.Position{At: letters[0].position, Start: letters[0].position == ""}
	route := transport.Route{Channel: delivery.DeadLetters(), From: from, Credit: transport.NewCredit(jobCredit)}
	left := len(wanted)
	err := c.broker.Receive(ctx, route, func(d *transport.Delivery) {
		done := func() { d.Settle(transport.Done) }
		dead, _, err := delivery.ReadDeadLetter(d.Envelope)
		if err != nil || dead == nil {
			done()
			return
		}
		l := wanted[identity{dead.ID, dead.Receiver, dead.Copy}]
		if l == nil {
			done()
			return
		}
		delete(wanted, l.identity)
		take(l, dead, done)
		if left--; left == 0 {
			enough()
		}
	})
	switch {
	case err != nil:
		return fmt.Errorf("reading the dead letters: %w", err)
	case left > 0:
		return fmt.Errorf("reading the dead letters: %d of %d were not read in time", left, len(letters))
	}
	return nil
}

// fetch reads the dead letters of a few letters.
func (c *Collector) fetch(ctx context.Context, letters []*letter) ([]*delivery.DeadLetter, error) {
	ctx, cancel := context.WithTimeout(ctx, redriveFor)
	defer cancel()
	found := make(map[*letter]*delivery.DeadLetter)
	err := c.each(ctx, letters, func(l *letter, d *delivery.DeadLetter, done func()) {
		found[l] = d
		done()
	})
	if err != nil {
		return nil, &transport.Error{Code: transport.Unavailable, Message: err.Error(), Cause: err}
	}
	dead := make([]*delivery.DeadLetter, len(letters))
	for i, l := range letters {
		dead[i] = found[l]
	}
	return dead, nil
}
