package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/ledger/collector"
	"github.com/parley-io/parley/transport"
)

// asksAtOnce bounds the questions to the broker that are under way together.
const asksAtOnce = 8

// receiver is whom messages of an address wait for: a group of an event, [parley.OwnerGroup] of an operation, or "",
// whoever handles a command.
type receiver struct{ address, group string }

// name is a receiver as people read it.
func (r receiver) name() string {
	switch r.group {
	case "":
		return "–"
	case parley.OwnerGroup:
		return "(owner)"
	}
	return r.group
}

// String names it in a sentence.
func (r receiver) String() string {
	switch r.group {
	case "":
		return r.address
	case parley.OwnerGroup:
		return "the owner of " + r.address
	}
	return fmt.Sprintf("group %s of %s", r.group, r.address)
}

// receiversOf are all that are known: registered groups and owners, running or not, what running instances receive, and
// the commands that the ledger has heard of, also those that nobody ever received.
func receiversOf(registered []receiver, all []described, counted []ledger.Counts) []receiver {
	list := slices.Clone(registered)
	for _, d := range all {
		for _, r := range d.at.Receives {
			list = append(list, receiver{r.Address, r.Group})
		}
		for _, address := range d.at.Operations {
			list = append(list, receiver{address, parley.OwnerGroup})
		}
	}
	for _, c := range counted {
		if c.Style == ledger.StyleCommand && c.Accepted > 0 {
			list = append(list, receiver{address: c.Address})
		}
	}
	slices.SortFunc(list, func(a, b receiver) int {
		return cmp.Or(cmp.Compare(a.address, b.address), cmp.Compare(a.group, b.group))
	})
	return slices.Compact(list)
}

// registered are the groups and owners that are expected to receive, with since when.
func (s *session) registered() (list []receiver, since map[receiver]time.Time, err error) {
	p, err := s.directory()
	if err != nil {
		return nil, nil, err
	}
	since = make(map[receiver]time.Time)
	for _, r := range p.Registrations() {
		to := receiver{r.Address, r.Group}
		list, since[to] = append(list, to), r.Since
	}
	return list, since, nil
}

// counted are the addresses of the ledger, as a collector counts them.
func counted(ctx context.Context, s *session) (collector.Stats, error) {
	return collected(ctx, s, func(peer string) (collector.Stats, error) { return collector.GetStats(ctx, s.net.Calls, peer) })
}

// up is how many running instances receive for r.
func up(s *session, r receiver) (n int) {
	for _, i := range s.net.Directory.Instances() {
		if slices.Contains(i.Receives, parley.Reception{Address: r.address, Group: r.group}) || r.group == parley.OwnerGroup && slices.Contains(i.Operations, r.address) {
			n++
		}
	}
	return n
}

// queued is what waits for a receiver at the broker.
type queued struct {
	channel transport.Channel // as it was found
	guessed bool              // nobody who runs announced its form: at least so many wait
	waiting int64
	oldest  time.Time // zero = nothing waits, or the broker does not tell
	err     error     // it is not known, and why
}

// count is how many wait, as people read it.
func (q *queued) count() string {
	if q.err != nil {
		return countOf(nil, false)
	}
	return countOf(&q.waiting, q.guessed)
}

// messages is count with the word.
func (q *queued) messages() string {
	if q.guessed {
		return "at least " + plural(int(q.waiting), "message")
	}
	return plural(int(q.waiting), "message")
}

// age is how old what waits is, as people read it.
func (q *queued) age(now time.Time) string {
	if q.err != nil {
		return ageOf(nil, time.Time{}, now)
	}
	return ageOf(&q.waiting, q.oldest, now)
}

// backlogs asks the broker what waits for each of these, several beside each other.
func backlogs(ctx context.Context, s *session, channels map[string]transport.Channel, list []receiver) []queued {
	found := make([]queued, len(list))
	next := make(chan int)
	var asking sync.WaitGroup
	for range min(asksAtOnce, len(list)) {
		asking.Go(func() {
			for i := range next {
				found[i] = backlogOf(ctx, s, channels, list[i])
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	asking.Wait()
	return found
}

// backlogOf asks the broker what waits for r. Where nobody who runs announced the form of its channel, the forms that
// contracts have by default are tried.
func backlogOf(ctx context.Context, s *session, channels map[string]transport.Channel, r receiver) (q queued) {
	forms := formsOf(channels, r)
	q.guessed = len(forms) > 1
	for _, q.channel = range forms {
		q.waiting, q.oldest, q.err = s.net.Operator.Backlog(ctx, q.channel, groupAt(r))
		if q.err == nil || ctx.Err() != nil {
			return q
		}
	}
	if q.guessed && errors.Is(q.err, transport.ErrNotFound) {
		q.err = fmt.Errorf("%s is not found, and nobody who runs knows whether it is a stream or keeps order by key: start a service that sends or receives it: %w", r, transport.ErrNotFound)
	}
	return q
}

// groupAt is the name of r at the broker.
func groupAt(r receiver) string {
	if r.group == parley.OwnerGroup {
		return ""
	}
	return r.group
}

// formsOf are the channels that r may receive from: as a running instance announced it, else all likely ones, the one
// with more to count first. A stream comes before a topic: the queue in which a broker keeps the position of a stream's
// group looks like a topic's.
func formsOf(channels map[string]transport.Channel, r receiver) []transport.Channel {
	if r.group == parley.OwnerGroup {
		return []transport.Channel{{Address: r.address, Pattern: transport.Queue}}
	}
	if c, known := channels[r.address]; known {
		return []transport.Channel{c}
	}
	patterns := []transport.Pattern{transport.Stream, transport.Topic}
	if r.group == "" {
		patterns = []transport.Pattern{transport.Queue}
	}
	var forms []transport.Channel
	for _, p := range patterns {
		for _, n := range []int{parley.DefaultPartitions, 0} {
			forms = append(forms, transport.Channel{Address: r.address, Pattern: p, Partitions: n})
		}
	}
	return forms
}

// channelsOf are the channels that running instances announced, by address.
func channelsOf(all []described) map[string]transport.Channel {
	channels := make(map[string]transport.Channel)
	for _, d := range all {
		for _, c := range d.is.Contracts {
			if c.Style != parley.StyleCall {
				channels[c.Address] = channelOf(c)
			}
		}
	}
	return channels
}

func channelOf(d parley.ContractDescription) transport.Channel {
	c := transport.Channel{
		Address: d.Address, Partitions: d.Partitions,
		Retain: time.Duration(d.RetainMS) * time.Millisecond, RetainBytes: d.RetainSize,
	}
	for _, p := range []transport.Pattern{transport.Queue, transport.Topic, transport.Stream} {
		if p.String() == d.Pattern {
			c.Pattern = p
		}
	}
	return c
}

// matches reports whether an address is one of those that were named, of which each may end in ".*"; none = all.
func matches(address string, named []string) bool {
	return len(named) == 0 || slices.ContainsFunc(named, func(n string) bool {
		prefix, all := strings.CutSuffix(n, "*")
		return n == address || all && strings.HasPrefix(address, prefix)
	})
}
