package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/ledger/collector"
)

const (
	followPoll  = 20 * time.Second       // how long one question waits at the collector
	followPause = 200 * time.Millisecond // between two questions to a collector that is away
)

func newFollowCommand(a *app) *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use:   "follow ID",
		Short: "Show what became of a message or call, and of whatever it caused",
		Long: `follow shows the trail of an id, of a correlation (the id that began a story), of a key or of a W3C trace id: every
message and call in it, who should get it, each attempt, and when the next one is due. Ids are exact.

With -w it shows changes until nothing in the trail is waiting. Its exit code is then 1 if a receiver of what was asked
for has given up. -o json and jsonl print one trail for each change.`,
		Example: "  parley follow 01981c7e-5d0f-7c3b-9a51-1d2f3a4b5c6d\n  parley follow order-1001 -w\n  parley follow order-1001 -o json",
		Args:    words(1, 1),
	}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show changes until nothing is waiting")
	c.RunE = func(c *cobra.Command, args []string) error {
		if watch {
			return a.on(a.within(0, func(ctx context.Context, s *session, args []string) error { return a.watch(ctx, s, args[0]) }))(c, args)
		}
		return a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
			trail, err := s.client.Follow(ctx, parley.MessageID(args[0]))
			if err != nil {
				return err
			}
			return a.showTrail(trail)
		}))(c, args)
	}
	return c
}

func (a *app) showTrail(trail parley.Trail) error {
	now := time.Now()
	if err := show(a, trail, []parley.Trail{trail}, func(t *table) { drawTrail(t, trail, now) }); err != nil {
		return err
	}
	if a.table() {
		a.suggest(trail)
	}
	return nil
}

// suggest says what may be done about a trail.
func (a *app) suggest(trail parley.Trail) {
	for _, h := range trail.Hops {
		for _, r := range h.Receivers {
			if r.State == ledger.DeadLetter {
				a.note("why: parley failed show %s", h.ID)
				a.note("again: parley failed redrive %s", h.ID)
				return
			}
		}
	}
	if !trail.Settled && len(trail.Hops) > 0 {
		a.note("live: parley follow %s -w", trail.Query)
	}
}

// watch shows a trail and its changes until nothing waits.
func (a *app) watch(ctx context.Context, s *session, id string) error {
	v := viewer{a: a, size: func() (int, int) { return terminalSize(a.out) }, shown: make(map[string]bool)}
	var revision uint64
	var only lasting
	for {
		trail, err := collected(ctx, s, func(peer string) (ledger.Trail, error) {
			wait := only.rest(time.Now())
			if revision == 0 {
				wait = 0
			}
			return collector.FollowChange(ctx, s.net.Calls, peer, id, revision, wait)
		})
		switch {
		case ctx.Err() != nil:
			return watchEnded(ctx, id)
		case parley.CodeOf(err) == parley.Unavailable && revision != 0: // a collector that restarts
			rest(ctx, followPause)
			continue
		case parley.CodeOf(err) == parley.DeadlineExceeded:
			continue
		case err != nil:
			return err
		}
		if trail.Revision != revision || revision == 0 {
			revision = max(trail.Revision, 1)
			if err := v.show(trail); err != nil {
				return err
			}
		}
		if trail.Settled {
			if a.table() {
				a.suggest(trail)
			}
			return givenUp(trail)
		}
		gaps := trail.Gaps
		if !trail.Concluded() || !quiet(trail) {
			gaps = nil
		}
		if only.stay(gaps, time.Now()) { // nothing else keeps it from being settled
			return givenUp(trail)
		}
	}
}

// lasting are gaps that stay. A batch that others have overtaken on their way looks like one, and what it tells can make a
// quiet trail go on.
type lasting struct {
	gaps  []string // those of since that are still there
	since time.Time
}

// stay reports whether one of the gaps has been there for as long as a batch can be on its way.
func (l *lasting) stay(gaps []string, now time.Time) bool {
	l.gaps = slices.DeleteFunc(l.gaps, func(gap string) bool { return !slices.Contains(gaps, gap) })
	if len(l.gaps) == 0 {
		l.gaps, l.since = slices.Clone(gaps), now
	}
	return len(l.gaps) > 0 && now.Sub(l.since) >= ledger.WriteWithin
}

// rest is how long to wait for a change until stay has to be asked again.
func (l *lasting) rest(now time.Time) time.Duration {
	if len(l.gaps) == 0 {
		return followPoll
	}
	return max(0, ledger.WriteWithin-now.Sub(l.since))
}

// quiet reports whether no receiver of any hop waits.
func quiet(trail parley.Trail) bool {
	for _, h := range trail.Hops {
		for _, r := range h.Receivers {
			if !r.State.Final() {
				return false
			}
		}
	}
	return true
}

func watchEnded(ctx context.Context, id string) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return &parley.Error{Code: parley.DeadlineExceeded, ID: id, Message: "the trail was not over in time"}
	}
	return err
}

// givenUp is the outcome of what was asked for.
func givenUp(trail parley.Trail) error {
	for _, h := range trail.Hops {
		if h.ID != trail.Query {
			continue
		}
		for _, r := range h.Receivers {
			if r.State == ledger.DeadLetter || r.State == ledger.Unsuccessful || r.State == ledger.TooLate {
				return &failure{err: fmt.Errorf("%s at %s: %s", r.State, r.Group, r.Reason), exit: exitFailed}
			}
		}
	}
	return nil
}

// viewer shows one trail again and again: on a terminal in place, else the lines that are new.
type viewer struct {
	a      *app
	size   func() (width, height int) // of the terminal; 0 = none
	screen screen
	shown  map[string]bool
}

func (v *viewer) show(trail parley.Trail) error {
	if !v.a.table() {
		return v.a.printJSON(trail)
	}
	if width, height := v.size(); height > 0 {
		lines := draw(trail, time.Now())
		if len(lines) < height { // what has scrolled away cannot be painted over
			return v.screen.repaint(v.a.out, plain(lines), width)
		}
	}
	v.screen = screen{}
	for _, line := range draw(trail, time.Time{}) {
		key := strings.Join(strings.Fields(branches.Replace(line)), " ") // the tree and the columns may have grown
		if v.shown[key] {
			continue
		}
		v.shown[key] = true
		if _, err := fmt.Fprintln(v.a.out, line); err != nil {
			return err
		}
	}
	return nil
}

func draw(trail parley.Trail, now time.Time) []string {
	t := newTable()
	drawTrail(t, trail, now)
	return t.lines()
}

// branches leaves out what draws the tree.
var branches = strings.NewReplacer("├─", "", "└─", "", "│", "")

// rest is a sleep that ends early when ctx does.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
