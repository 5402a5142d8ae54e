package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
)

// watchEvery is how often --watch looks where nothing else is said.
const watchEvery = 2 * time.Second

func newLagCommand(a *app) *cobra.Command {
	var every time.Duration
	c := &cobra.Command{
		Use:   "lag [ADDRESS…]",
		Short: "Show what waits at the broker, for whom, and since when",
		Long: `lag shows each receiver of messages: the groups of events, also those that nobody receives for now, the handlers of
commands (–), and the owners of operations (owner). UP is how many instances receive for it; WAITING how many messages wait
at the broker; IN HAND how many the instances have taken and not settled, by their own word; OLDEST when the oldest of those
that wait was accepted. An ADDRESS may end in ".*". Messages that are not due yet are not counted.

What a broker does not tell is shown as unknown, and "≥ 5" means that nobody who runs tells how many partitions the channel
has. WAITING includes what is in hand on the embedded broker, NATS and Kafka, not on RabbitMQ, which does not tell the age
either. On Kafka, and for the streams of RabbitMQ, it includes copies for other groups until the group has passed them.

--watch shows changes until interrupted: every 2s, or as --watch=10s says; GROWS is then how fast WAITING does. Where the
output is no terminal, only the rows that have changed are printed; with -o json or jsonl each is a line.`,
		Example: "  parley lag\n  parley lag billing.v1.charge 'storefront.*' --watch\n  parley lag -o json",
		Args:    words(0, -1),
	}
	c.Flags().DurationVarP(&every, "watch", "w", 0, "show changes, looking so `often`")
	c.Flags().Lookup("watch").NoOptDefVal = watchEvery.String()
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case !c.Flags().Changed("watch"):
			return a.on(a.within(lookLimit, a.lag))(c, args)
		case every < minWatch:
			return usage(fmt.Errorf("--watch=%v: want at least %v", every, minWatch))
		}
		return a.on(a.within(0, func(ctx context.Context, s *session, args []string) error { return a.watchLag(ctx, s, args, every) }))(c, args)
	}
	return c
}

// lagRow is a receiver with what waits for it.
type lagRow struct {
	At       time.Time `json:"at"` // when it was looked at, by this machine's clock
	Address  string    `json:"address"`
	Group    string    `json:"group,omitzero"`   // "" = of a command; "owner" of an operation
	Pattern  string    `json:"pattern,omitzero"` // "" = unknown
	Up       int       `json:"up"`
	Waiting  *int64    `json:"waiting"`           // null = unknown, Problem says why
	AtLeast  bool      `json:"at_least,omitzero"` // so many, perhaps more
	InHand   int64     `json:"in_hand"`
	Oldest   time.Time `json:"oldest,omitzero"`       // zero = nothing waits, or the broker does not tell
	PerSec   *float64  `json:"per_second,omitzero"`   // how fast Waiting grows, since the last look of a watch
	Stuck    int64     `json:"stuck,omitzero"`        // of those in hand: the broker refuses their dead letter or delayed copy
	Keys     int       `json:"stopped_keys,omitzero"` // whose messages wait among the dead letters, behind one that failed
	Paused   *paused   `json:"paused,omitzero"`
	Problem  string    `json:"problem,omitzero"`
	Nobody   bool      `json:"nobody,omitzero"` // no instance receives for it
	receiver receiver
}

func (a *app) lag(ctx context.Context, s *session, named []string) error {
	rows, missing, err := lagRows(ctx, s, named)
	if err != nil {
		return err
	}
	for _, m := range missing {
		a.note("%s", m)
	}
	if len(rows) == 0 && a.table() {
		a.note("nobody receives messages on %s, and none are known to wait", s.net.Name)
		return nil
	}
	if err := show(a, rows, rows, func(t *table) { drawLag(t, rows, time.Now(), false) }); err != nil {
		return err
	}
	a.adviseLag(rows)
	return nil
}

// lagRows are those of all receivers of the addresses that were named, or of all; missing is what could not be looked at.
func lagRows(ctx context.Context, s *session, named []string) (rows []lagRow, missing []string, err error) {
	all := describe(ctx, s)
	missing = complaints(all)
	groups, _, err := s.registered()
	if err != nil {
		return nil, nil, err
	}
	stats, err := counted(ctx, s)
	if err != nil {
		missing = append(missing, fmt.Sprintf("warning: commands that no running instance handles are not shown: %v", err))
	}
	list := receiversOf(groups, all, stats.Addresses)
	for _, n := range named {
		if !slices.ContainsFunc(list, func(r receiver) bool { return matches(r.address, []string{n}) }) {
			return nil, nil, &failure{exit: exitNotFound, try: "parley lag",
				err: fmt.Errorf("%s: no running service receives it, no group of it is registered, and the ledger has no such command", n)}
		}
	}
	list = slices.DeleteFunc(list, func(r receiver) bool { return !matches(r.address, named) })
	found, at, standings := backlogs(ctx, s, channelsOf(all), list), time.Now(), standingsOf(all)
	rows = make([]lagRow, len(list))
	for i, r := range list {
		rows[i] = lagRowOf(r, &found[i], standings[r])
		rows[i].At, rows[i].Up = at.UTC(), up(s, r)
		rows[i].Nobody = rows[i].Up == 0
	}
	return rows, missing, nil
}

func lagRowOf(r receiver, q *queued, st standing) lagRow {
	row := lagRow{Address: r.address, Group: r.group, InHand: st.inFlight, Stuck: st.stuck, Keys: st.keys, receiver: r}
	if st.paused > 0 {
		row.Paused = new(st.of(r))
	}
	if !q.guessed {
		row.Pattern = q.channel.Pattern.String()
	}
	if q.err != nil {
		row.Problem = q.err.Error()
		return row
	}
	row.Waiting, row.AtLeast, row.Oldest = &q.waiting, q.guessed, q.oldest
	return row
}

func drawLag(t *table, rows []lagRow, now time.Time, rates bool) {
	head := []any{"ADDRESS", "GROUP", "UP", "WAITING", "IN HAND", "OLDEST", "NOTE"}
	if rates {
		head = slices.Insert(head, 6, any("GROWS"))
	}
	t.row(head...)
	for _, r := range rows {
		cells := []any{r.Address, r.receiver.name(), r.Up, r.count(), r.InHand, r.age(now), r.note()}
		if rates {
			cells = slices.Insert(cells, 6, any(r.rate()))
		}
		t.row(cells...)
	}
}

func (r *lagRow) count() string { return countOf(r.Waiting, r.AtLeast) }

// countOf is a number of messages as people read it.
func countOf(n *int64, atLeast bool) string {
	switch {
	case n == nil:
		return "unknown"
	case atLeast:
		return "≥ " + strconv.FormatInt(*n, 10)
	}
	return strconv.FormatInt(*n, 10)
}

func (r *lagRow) age(now time.Time) string { return ageOf(r.Waiting, r.Oldest, now) }

// ageOf is how old what waits is.
func ageOf(waiting *int64, oldest, now time.Time) string {
	if oldest.IsZero() && (waiting == nil || *waiting > 0) {
		return "unknown"
	}
	return ago(oldest, now)
}

// rate is how fast what waits grows, and when it is gone if it shrinks on.
func (r *lagRow) rate() string {
	if r.PerSec == nil {
		return "–"
	}
	text := strconv.FormatFloat(*r.PerSec, 'f', 1, 64)
	if *r.PerSec > 0 {
		text = "+" + text
	}
	text += "/s"
	if *r.PerSec < 0 && *r.Waiting > 0 {
		text += ", drained in " + short(time.Duration(float64(*r.Waiting)/-*r.PerSec*float64(time.Second)))
	}
	return text
}

// note is what is not as it should be.
func (r *lagRow) note() string {
	switch {
	case r.Paused != nil:
		return r.Paused.String()
	case r.Problem != "":
		return clip(r.Problem, 160)
	case r.Stuck > 0:
		return fmt.Sprintf("%d cannot be settled: the broker refuses their dead letters or delayed copies", r.Stuck)
	case r.Keys > 0:
		return plural(r.Keys, "key") + " stopped, see parley failed"
	case r.Nobody && r.Group == parley.OwnerGroup:
		return "its owner is away"
	case r.Nobody && r.Group == "":
		return "no instance handles it"
	case r.Nobody:
		return "forgotten? no instance receives for it"
	}
	return ""
}

// adviseLag says what may be done about a group that nobody receives for: the one for which most waits.
func (a *app) adviseLag(rows []lagRow) {
	var worst *lagRow
	for i, r := range rows {
		if r.Nobody && r.Group != "" && r.Group != parley.OwnerGroup && (worst == nil || r.waits() > worst.waits()) {
			worst = &rows[i]
		}
	}
	if worst != nil && a.table() {
		a.note("messages are kept for a group until it handles them. If nobody ever will: parley groups rm %s %s", worst.Address, worst.Group)
	}
}

// waits is how many messages are known to wait.
func (r *lagRow) waits() int64 {
	if r.Waiting == nil {
		return 0
	}
	return *r.Waiting
}
