package conform

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/transport"
)

// event is something that happened to a message, at a time in nanoseconds.
type event struct {
	kind    kind
	message uint64
	at      int64
}

// chunk is how many events are kept together: what grows by copying would look like a leak to checks of memory.
const chunk = 4096

// memory is the diary of this process. The zero memory is empty.
type memory struct {
	mu     sync.Mutex
	events [][]event
	routes map[transport.Channel]map[string]bool // groups by channel, "" among them
}

func (m *memory) note(what kind, message uint64, at time.Time) {
	m.add(event{what, message, at.UnixNano()})
}

func (m *memory) add(e event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := len(m.events) - 1
	if last < 0 || len(m.events[last]) == chunk {
		m.events = append(m.events, make([]event, 0, chunk))
		last++
	}
	m.events[last] = append(m.events[last], e)
}

func (m *memory) route(r transport.Route) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.routes == nil {
		m.routes = make(map[transport.Channel]map[string]bool)
	}
	if m.routes[r.Channel] == nil {
		m.routes[r.Channel] = make(map[string]bool)
	}
	m.routes[r.Channel][r.Group] = true
}

// take empties the diary of its events.
func (m *memory) take() [][]event {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.events
	m.events = nil
	return all
}

// The lines of a file that are not about messages.
const (
	lineRoute = "route" // and JSON
	lineBeat  = "beat"  // and the time: the process lives
	lineEnd   = "end"   // and the time: it ends in order
)

// beatEvery is how often a child says that it lives.
const beatEvery = 100 * time.Millisecond

// file is the diary of a child process: a line for each event, written at once, as the process may be killed at any
// moment.
type file struct{ f *os.File }

func openFile(name string) (*file, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600) //nolint:gosec // the parent made the name
	if err != nil {
		return nil, err
	}
	return &file{f}, nil
}

func (f *file) note(what kind, message uint64, at time.Time) {
	f.line(string(rune(what)) + " " + strconv.FormatUint(message, 16) + " " + stamp(at))
}

func (f *file) route(r transport.Route) {
	c := r.Channel
	text, err := json.Marshal(known{c.Address, c.Pattern, c.Partitions, int64(c.Retain), c.RetainBytes, r.Group})
	if err == nil { // strings and numbers always can be
		f.line(lineRoute + " " + string(text))
	}
}

// known is a route as a line has it.
type known struct {
	Address     string
	Pattern     transport.Pattern
	Partitions  int
	Retain      int64 // nanoseconds
	RetainBytes int64
	Group       string
}

func (k known) route() transport.Route {
	return transport.Route{Group: k.Group, Channel: transport.Channel{
		Address: k.Address, Pattern: k.Pattern, Partitions: k.Partitions, Retain: time.Duration(k.Retain), RetainBytes: k.RetainBytes,
	}}
}

// beat says that the process lives, until ctx is done.
func (f *file) beat(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		f.line(lineBeat + " " + stamp(time.Now()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (f *file) end() error {
	f.line(lineEnd + " " + stamp(time.Now()))
	return f.f.Close()
}

// line is one write, which is not mixed with others.
func (f *file) line(text string) {
	_, _ = io.WriteString(f.f, text+"\n") // a picture without it is better than no check
}

func stamp(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// life is when a process was seen to live.
type life struct {
	last    int64 // 0 = never
	ended   bool  // in order
	silence []gap // in between
}

// gap is a time without a sign of life.
type gap struct{ from, to int64 }

// silent is how long a process says nothing that is frozen, and not just slow.
const silent = time.Second

func (l *life) seen(at int64) {
	if l.last > 0 && at-l.last >= int64(silent) {
		l.silence = append(l.silence, gap{l.last, at})
	}
	l.last = max(l.last, at)
}

// read takes a child's file into the diary of this process. The last line may be cut.
func (m *memory) read(r io.Reader) (l life, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case lineRoute:
			var k known
			if json.Unmarshal([]byte(rest), &k) == nil {
				m.route(k.route())
			}
		case lineBeat, lineEnd:
			if at, err := strconv.ParseInt(rest, 10, 64); err == nil {
				l.seen(at)
				l.ended = word == lineEnd
			}
		case string(rune(sent)), string(rune(handled)):
			message, at, _ := strings.Cut(rest, " ")
			n, err := strconv.ParseUint(message, 16, 64)
			when, err2 := strconv.ParseInt(at, 10, 64)
			if err == nil && err2 == nil {
				m.add(event{kind(word[0]), n, when})
			}
		}
	}
	if err := lines.Err(); err != nil {
		return l, fmt.Errorf("read what a process noted: %w", err)
	}
	return l, nil
}
