package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// options are those of the program.
type options struct {
	network string
	cluster bool
	seed    uint64
	short   bool
	rate    int       // messages a second that are offered, 0 = those that the scenario wants
	out     io.Writer // a line for each thing that happens
}

// again is the command that runs a scenario with the same options.
func (o options) again(scenario string) string {
	command := fmt.Sprintf("go run ./internal/battery -network %s -only %s -seed %d", o.network, scenario, o.seed)
	if o.cluster {
		command += " -cluster"
	}
	if o.short {
		command += " -short"
	}
	if o.rate > 0 {
		command += fmt.Sprintf(" -rate %d", o.rate)
	}
	return command
}

// stage is where a scenario takes place: a broker, workers, and the book of what they do.
type stage struct {
	options
	name   string
	site   *site
	crew   *crew
	book   *book
	random *rand.Rand
	began  time.Time

	figures  []figure
	problems []string
	stall    time.Duration // see watch
}

// figure is something that was measured.
type figure struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// count is how often something is done: full, or few in a short run.
func (s *stage) count(full, few int) int {
	if s.short {
		return few
	}
	return full
}

// span is how long something lasts.
func (s *stage) span(full, brief time.Duration) time.Duration {
	if s.short {
		return brief
	}
	return full
}

func (s *stage) sayf(format string, v ...any) {
	_, _ = fmt.Fprintf(s.out, "%-8s %6.1fs  %s\n", s.name, time.Since(s.began).Seconds(), fmt.Sprintf(format, v...))
}

func (s *stage) figuref(name, format string, v ...any) {
	s.figures = append(s.figures, figure{name, fmt.Sprintf(format, v...)})
}

func (s *stage) problemf(format string, v ...any) {
	problem := fmt.Sprintf(format, v...)
	s.problems = append(s.problems, problem)
	s.sayf("WRONG: %s", problem)
}

// Steps of a run that must come to an end.
const (
	// resumeLimit is for messages to be confirmed and handled again once a fault is over.
	resumeLimit = 10 * time.Second
	// resumePatience is how long that is waited for.
	resumePatience = 2 * time.Minute
	// quietLimit is how long nothing at all may be handled before what has not been counts as lost.
	quietLimit = 90 * time.Second
	// endLimit is for all workers of a verb to end in order.
	endLimit = 3 * time.Minute
)

// start starts workers, those that handle first, and waits until these are ready.
func (s *stage) start(ctx context.Context, tasks ...task) ([]*process, error) {
	var started, handlers []*process
	for _, t := range tasks {
		t.URL = s.site.url()
		p, err := s.crew.start(ctx, t)
		if err != nil {
			return nil, err
		}
		if started = append(started, p); t.Verb == "handle" {
			handlers = append(handlers, p)
		}
	}
	return started, s.crew.ready(ctx, handlers...)
}

// flows waits until messages are handled, and confirmed where somebody still sends, that were so after a time, and answers
// how long after it that was.
func (s *stage) flows(ctx context.Context, since time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, resumePatience)
	defer cancel()
	err := s.book.until(ctx, func() bool {
		sends := slices.ContainsFunc(s.crew.all, func(p *process) bool { return p.Verb == "publish" && !p.done && p.killed.IsZero() })
		return (!sends || s.book.lastStored.After(since)) && s.book.lastEnded.After(since)
	})
	if err != nil {
		return 0, fmt.Errorf("messages do not flow again within %v: %w", resumePatience, err)
	}
	return time.Since(since), nil
}

// finish tells the publishers to end, waits until all that was confirmed has been handled, ends the others in order,
// and judges.
func (s *stage) finish(ctx context.Context, ordered bool) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	j := s.book.judge(ordered)
	s.problems = append(s.problems, j.problems()...)
	s.problems = append(s.problems, s.book.wrong...)
	b := s.book
	for _, p := range s.crew.all {
		s.figures, s.problems = append(s.figures, p.figures...), append(s.problems, p.problems...)
	}
	s.figuref("confirmed", "%d", b.stored)
	s.figuref("confirmed per second, from the first to the last", "%.0f", b.rate())
	s.figuref("handled", "%d", b.handled)
	s.figuref("lost", "%d", len(j.lost))
	s.figuref("invented", "%d", len(j.invented))
	s.figuref("outcome unknown to the sender", "%d", j.unknown)
	s.figuref("handled again after a fault", "%d", j.duplicates-len(j.doubled))
	if ordered {
		s.figuref("out of order", "%d", len(j.disordered))
		s.figuref("beside another process after a fault", "%d", j.besides-len(j.beside))
	}
	s.times("send to handled", j.latency)
	s.times("send to confirmed", j.confirmation)
	s.times("late, but for what an outage kept from being in time", j.lateness)
	s.times("late, but for what was due until 10 s after that, too", j.settled)
	if j.latest > 0 {
		s.figuref("late at the most, of all", "%v", short(j.latest))
	}
	return nil
}

func (s *stage) times(name string, sorted []time.Duration) {
	if len(sorted) > 0 {
		s.figuref(name+", p50 p99 max", "%v %v %v", short(quantile(sorted, .5)), short(quantile(sorted, .99)), short(sorted[len(sorted)-1]))
	}
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// settle ends the publishers, waits as long as anything is handled that was confirmed, and ends the others.
func (s *stage) settle(ctx context.Context) error {
	errs := []error{s.dismiss(ctx, "publish")}
	for before, waiting := s.book.progress(); waiting > 0; {
		patient, cancel := context.WithTimeout(ctx, quietLimit)
		err := s.book.until(patient, func() bool { return s.book.waiting == 0 || s.book.handled > before })
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			break
		}
		before, waiting = s.book.progress()
	}
	if err := errors.Join(append(errs, s.dismiss(ctx, "handle"))...); err != nil {
		s.problemf("%v", err)
	}
	return nil
}

// dismiss has the processes of a verb end in order.
func (s *stage) dismiss(ctx context.Context, verb string) error {
	ctx, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	var errs []error
	for _, p := range s.crew.all {
		if p.Verb == verb && p.killed.IsZero() {
			errs = append(errs, s.crew.leave(ctx, p))
		}
	}
	return errors.Join(errs...)
}

// watch tells every few seconds how far it is, until stop; then it notes by how much this machine let a timer wait at the
// most: where that is seconds, connections were lost and leases ended by the load alone.
func (s *stage) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { // stop waits for it
		defer close(ended)
		const look, tell = 100 * time.Millisecond, 50
		var longest time.Duration
		for n := 1; ; n++ {
			began := time.Now()
			if !sleep(ctx, look) {
				break
			}
			longest = max(longest, time.Since(began)-look)
			if n%tell == 0 {
				s.book.with(func() {
					s.sayf("%d confirmed, %d handled, %d begun again or failed", s.book.stored, s.book.handled, s.book.repeats())
				})
			}
		}
		s.stall = longest
	}()
	return func() {
		cancel()
		<-ended
		s.figuref("longest stall of this machine", "%v", short(s.stall))
	}
}

// perform makes a stage, has the scenario take place there, and clears it.
func perform(ctx context.Context, o options, sc scenario) (r result) {
	s := &stage{options: o, name: sc.name, began: time.Now(), book: newBook(), random: rand.New(rand.NewPCG(o.seed, 7))}
	r = result{Scenario: sc.name, Network: o.network, Cluster: o.cluster, Seed: o.seed, Began: s.began.UTC(), Again: o.again(sc.name)}
	err := s.run(ctx, sc)
	if err != nil {
		s.problemf("%v", err)
	}
	r.Problems, r.Figures, r.Took = s.problems, s.figures, time.Since(s.began).Seconds()
	r.Passed = len(r.Problems) == 0
	return r
}

func (s *stage) run(ctx context.Context, sc scenario) (err error) {
	dir, err := os.MkdirTemp("", "parley-battery-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil || len(s.problems) > 0 {
			s.sayf("the workers' logs are kept in %s", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	s.crew = &crew{book: s.book, dir: dir}
	proxied := ""
	var proxy *proxy
	if sc.proxied {
		if proxy, err = newProxy(); err != nil {
			return err
		}
		defer proxy.close()
		proxied = proxy.address()
	}
	if s.site, err = openSite(ctx, s.network, s.cluster, proxied, s.out); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.site.stop(ctx, err != nil || len(s.problems) > 0)) }()
	if proxy != nil {
		broker, err := s.site.address()
		if err != nil {
			return err
		}
		proxy.to(broker)
	}
	defer s.crew.end()
	defer s.watch(ctx)()
	return sc.play(ctx, s, proxy)
}
