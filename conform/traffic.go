package conform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

// traffic is what was seen of the messages of a run, from outside of the broker and the checks.
type traffic struct {
	began time.Time
	dir   string // of the children's files
	diary memory // of this process, and of children that have ended

	mu       sync.Mutex
	children []child // of the present check
	check    string  // its name
	unread   []error // of children's files
	marks    []Mark
	trips    []trip
}

// child is a process of a check.
type child struct{ file, does string }

// trip is a message's way from its sending to its handling, in nanoseconds since the beginning of the run.
type trip struct{ from, to int64 }

// Mark is something that was done to a process while messages were on their way.
type Mark struct {
	At    Milliseconds `json:"at_ms"`    // since the beginning of the run
	Until Milliseconds `json:"until_ms"` // when it was over; At where it never was
	Check string       `json:"check"`
	What  string       `json:"what"` // such as "broker away"
}

func newTraffic(began time.Time) (*traffic, error) {
	dir, err := os.MkdirTemp("", "parley-conform-")
	if err != nil {
		return nil, fmt.Errorf("a place for what processes note: %w", err)
	}
	return &traffic{began: began, dir: dir}, nil
}

// end frees everything.
func (t *traffic) end() error { return os.RemoveAll(t.dir) }

// watch notes what happens at a site.
func (t *traffic) watch(site transporttest.Site) transporttest.Site {
	inner := sync.Map{} // what a watched broker is watching
	see := func(b transport.Broker, err error) (transport.Broker, error) {
		if err != nil {
			return nil, err
		}
		w := watch(b, &t.diary)
		inner.Store(w, b)
		return w, nil
	}
	open := site.Open
	site.Open = func(ctx context.Context) (transport.Broker, error) { return see(open(ctx)) }
	if through := site.Through; through != nil {
		site.Through = func(ctx context.Context, via func(string) string) (transport.Broker, error) {
			return see(through(ctx, via))
		}
	}
	if command := site.Command; command != nil {
		site.Command = func(ctx context.Context, args ...string) *exec.Cmd { return t.adopt(command(ctx, args...), args) }
	}
	if crash := site.Crash; crash != nil {
		site.Crash = func(b transport.Broker) error {
			t.mark("process cut off", time.Now(), time.Now())
			if x, ok := inner.Load(b); ok {
				b, _ = x.(transport.Broker)
			}
			return crash(b)
		}
	}
	if kill := site.Kill; kill != nil {
		site.Kill = func(ctx context.Context) error {
			began := time.Now()
			defer func() { t.mark("broker killed", began, time.Now()) }()
			return kill(ctx)
		}
	}
	if down := site.Down; down != nil {
		site.Down = func(ctx context.Context) (func(context.Context) error, error) {
			began := time.Now()
			up, err := down(ctx)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) error {
				defer func() { t.mark("broker away", began, time.Now()) }()
				return up(ctx)
			}, nil
		}
	}
	return site
}

// diaryVariable of the environment names the file of a child.
const diaryVariable = "PARLEY_CONFORM_DIARY"

// adopt gives a child a file for what it sees.
func (t *traffic) adopt(cmd *exec.Cmd, args []string) *exec.Cmd {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := filepath.Join(t.dir, strconv.Itoa(len(t.children)))
	t.children = append(t.children, child{name, args[0]})
	cmd.Env = append(cmd.Env, diaryVariable+"="+name)
	return cmd
}

func (t *traffic) mark(what string, from, to time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks = append(t.marks, Mark{t.since(from.UnixNano()), t.since(to.UnixNano()), t.check, what})
}

// since is a time in nanoseconds as one of the run.
func (t *traffic) since(at int64) Milliseconds {
	return Milliseconds(max(0, time.Duration(at-t.began.UnixNano()).Milliseconds()))
}

// open begins a check.
func (t *traffic) open(c Check) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.check = fmt.Sprintf("%d %s", c.Number, c.Name)
}

// close ends a check, of which nothing runs any longer. It answers how many messages were seen sent and handled.
func (t *traffic) close() (messages int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.children {
		t.unread = append(t.unread, t.read(c))
	}
	t.children = nil
	from, to := make(map[uint64]int64), make(map[uint64]int64)
	for _, part := range t.diary.take() {
		for _, e := range part {
			first := from
			if e.kind == handled {
				first = to
			}
			if at, ok := first[e.message]; !ok || e.at < at {
				first[e.message] = e.at
			}
		}
	}
	origin := t.began.UnixNano()
	for message, end := range to {
		if begin, ok := from[message]; ok {
			t.trips = append(t.trips, trip{begin - origin, max(begin, end) - origin}) // clocks may differ by a little
			messages++
		}
	}
	return messages
}

// read takes what a child has noted, and deletes its file. t.mu is held.
func (t *traffic) read(c child) error {
	f, err := os.Open(c.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil // it was killed before it could begin
	}
	if err != nil {
		return err
	}
	l, err := t.diary.read(f)
	for _, g := range l.silence {
		t.marks = append(t.marks, Mark{t.since(g.from), t.since(g.to), t.check, c.does + " process frozen"})
	}
	if l.last > 0 && !l.ended {
		t.marks = append(t.marks, Mark{t.since(l.last), t.since(l.last), t.check, c.does + " process killed"})
	}
	return errors.Join(err, f.Close(), os.Remove(c.file))
}

// routes are all channels that were declared, and the groups that received from them.
func (t *traffic) routes() (all []transport.Route) {
	t.diary.mu.Lock()
	defer t.diary.mu.Unlock()
	for c, groups := range t.diary.routes {
		for g := range groups {
			all = append(all, transport.Route{Channel: c, Group: g})
		}
	}
	slices.SortFunc(all, func(a, b transport.Route) int {
		return cmp.Or(cmp.Compare(a.Channel.Address, b.Channel.Address), cmp.Compare(a.Group, b.Group))
	})
	return all
}
