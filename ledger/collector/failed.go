package collector

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

// lettersKept bounds the index of dead letters. Redriven ones go first; then new ones are only counted: they are in
// the stream, and a collector that starts after the others were redriven shows them.
const lettersKept = 200_000

// identity is what makes a dead letter.
type identity struct{ id, receiver, copy string }

// letter is what is kept of a dead letter; the rest is in the stream.
type letter struct {
	identity
	position  string // in the stream
	key       string // of the message
	order     int    // of its arrival, over all
	cause     *cause
	first     time.Time
	last      time.Time
	attempts  int
	permanent bool
	stopsKey  bool               // others of its key are behind it, or it is behind another
	behind    bool               // no handler got it
	redriven  *delivery.Redriven // nil = open
	pending   bool               // a job has it
}

// cause is why letters are there.
type cause struct {
	number                     int
	key, address, receiver, is string
	style                      string
	sample                     string // one reason as it was
	letters                    []*letter
}

// failed is the index of the dead letters. The collector's lock guards it.
type failed struct {
	limit      int // letters
	letters    map[identity]*letter
	byID       map[string][]*letter
	causes     map[string]*cause
	arrived    int
	numbered   int // causes so far
	omitted    int
	unreadable int
}

func newFailed(limit int) *failed {
	return &failed{limit: limit, letters: make(map[identity]*letter), byID: make(map[string][]*letter), causes: make(map[string]*cause)}
}

// add takes a dead letter; one that is there already is the same.
func (f *failed) add(d *delivery.DeadLetter, position string) {
	is := identity{d.ID, d.Receiver, d.Copy}
	if f.letters[is] != nil {
		return
	}
	if len(f.letters) >= f.limit && !f.dropRedriven() {
		f.omitted++
		return
	}
	f.arrived++
	reason := normalise(d.Reason)
	if d.Behind != "" {
		reason = behindAnother
	}
	key := causeKey(d.Address, d.Receiver, reason)
	c := f.causes[key]
	if c == nil {
		f.numbered++
		c = &cause{number: f.numbered, key: key, address: d.Address, receiver: d.Receiver, style: d.Style, is: reason, sample: d.Reason}
		f.causes[key] = c
	}
	l := &letter{
		identity: is, position: position, key: d.Attributes["subject"], order: f.arrived, cause: c,
		first: d.First, last: d.Last, attempts: d.Attempts, permanent: d.Permanent,
		stopsKey: d.StopKey, behind: d.Behind != "",
	}
	c.letters = append(c.letters, l)
	f.letters[is] = l
	f.byID[d.ID] = append(f.byID[d.ID], l)
}

// redriven closes a dead letter.
func (f *failed) redriven(r *delivery.Redriven) {
	if l := f.letters[identity{r.ID, r.Receiver, r.Copy}]; l != nil {
		l.redriven = r
	}
}

// dropRedriven forgets the letters that were redriven, and reports whether there were any.
func (f *failed) dropRedriven() bool {
	n := len(f.letters)
	closed := func(l *letter) bool { return l.redriven != nil && !l.pending }
	for is, l := range f.letters {
		if closed(l) {
			delete(f.letters, is)
		}
	}
	for id, some := range f.byID {
		if some = slices.DeleteFunc(some, closed); len(some) == 0 {
			delete(f.byID, id)
		} else {
			f.byID[id] = some
		}
	}
	for key, c := range f.causes {
		if c.letters = slices.DeleteFunc(c.letters, closed); len(c.letters) == 0 {
			delete(f.causes, key)
		}
	}
	return len(f.letters) < n
}

// find is the cause of a number or key.
func (f *failed) find(name string) *cause {
	name = strings.TrimPrefix(name, "#")
	if c := f.causes[name]; c != nil {
		return c
	}
	n, err := strconv.Atoi(name)
	if err != nil {
		return nil
	}
	for _, c := range f.causes {
		if c.number == n {
			return c
		}
	}
	return nil
}

// open counts the letters that wait for somebody.
func (f *failed) open() (open, redriven int) {
	for _, l := range f.letters {
		if l.redriven == nil {
			open++
		} else {
			redriven++
		}
	}
	return open, redriven
}

// FailedRequest asks for the dead letters by cause.
type FailedRequest struct {
	Address string `json:"address,omitzero"` // only of this address; "" = all
	Group   string `json:"group,omitzero"`   // only of this receiver; "" = all
	All     bool   `json:"all,omitzero"`     // also causes that have been redriven completely
	IDs     int    `json:"ids,omitzero"`     // how many ids of each cause; 0 = 20
}

// Failed are the dead letters of a network.
type Failed struct {
	Causes []Cause `json:"causes"` // by number
	Open   int     `json:"open"`
	// Redriven letters are remembered until the room is needed.
	Redriven int `json:"redriven"`
	// Omitted ones are in the stream but not in this list, because there are too many.
	Omitted    int `json:"omitted,omitzero"`
	Unreadable int `json:"unreadable,omitzero"` // entries of the stream that are neither
}

// Cause is why some messages are dead letters.
type Cause struct {
	Number   int       `json:"number"` // in the order in which causes came up
	Key      string    `json:"key"`    // the same in every collector
	Address  string    `json:"address"`
	Style    string    `json:"style,omitzero"`
	Group    string    `json:"group"`  // who gave up
	Reason   string    `json:"reason"` // with "#" for what differs
	Sample   string    `json:"sample"` // one reason as it was
	Open     int       `json:"open"`
	Redriven int       `json:"redriven"`
	First    time.Time `json:"first"` // when the first one that is open gave up; of all if none is
	Last     time.Time `json:"last"`
	IDs      []string  `json:"ids"` // of open ones, oldest first, as many as were asked for
}

// Failed lists the dead letters.
func (c *Collector) Failed(_ context.Context, r FailedRequest) (Failed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := Failed{Causes: []Cause{}, Omitted: c.failed.omitted, Unreadable: c.failed.unreadable}
	f.Open, f.Redriven = c.failed.open()
	for _, one := range c.failed.causes {
		if r.Address != "" && one.address != r.Address || r.Group != "" && one.receiver != r.Group {
			continue
		}
		if shown := one.shown(cmp.Or(r.IDs, 20)); shown.Open > 0 || r.All && shown.Redriven > 0 {
			f.Causes = append(f.Causes, shown)
		}
	}
	slices.SortFunc(f.Causes, func(a, b Cause) int { return cmp.Compare(a.Number, b.Number) })
	return f, nil
}

func (c *cause) shown(ids int) Cause {
	v := Cause{Number: c.number, Key: c.key, Address: c.address, Style: c.style, Group: c.receiver, Reason: c.is, Sample: c.sample, IDs: []string{}}
	for _, l := range c.letters {
		if l.redriven != nil {
			v.Redriven++
			continue
		}
		v.Open++
		if len(v.IDs) < ids {
			v.IDs = append(v.IDs, l.id)
		}
	}
	for _, l := range c.letters {
		if l.redriven != nil && v.Open > 0 {
			continue
		}
		if v.First.IsZero() || l.last.Before(v.First) {
			v.First = l.last
		}
		if l.last.After(v.Last) {
			v.Last = l.last
		}
	}
	return v
}

// ShowRequest asks for the dead letters of one message.
type ShowRequest struct {
	ID string `json:"id"`
}

// Shown are the dead letters of one message: one for each receiver that gave up, and for each time.
type Shown struct {
	ID      string   `json:"id"`
	Letters []Letter `json:"letters"` // oldest first
}

// Letter is a dead letter.
type Letter struct {
	Cause    int                 `json:"cause"` // number
	Dead     delivery.DeadLetter `json:"dead_letter"`
	Redriven *delivery.Redriven  `json:"redriven,omitzero"` // nil = it is open
}

// Show reads the dead letters of one message from the stream.
func (c *Collector) Show(ctx context.Context, r ShowRequest) (Shown, error) {
	c.mu.Lock()
	letters := slices.Clone(c.failed.byID[r.ID])
	closed := make([]*delivery.Redriven, len(letters))
	for i, l := range letters {
		closed[i] = l.redriven
	}
	c.mu.Unlock()
	if len(letters) == 0 {
		return Shown{}, &transport.Error{Code: transport.NotFound, Message: "no dead letter of message " + strconv.Quote(r.ID) + ": ids are exact; `parley failed list` shows those there are"}
	}
	shown := Shown{ID: r.ID, Letters: make([]Letter, len(letters))}
	found, err := c.fetch(ctx, letters)
	if err != nil {
		return Shown{}, err
	}
	for i, l := range letters {
		shown.Letters[i] = Letter{Cause: l.cause.number, Dead: *found[i], Redriven: closed[i]}
	}
	return shown, nil
}
