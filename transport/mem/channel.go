package mem

import (
	"fmt"
	"slices"
	"time"

	"github.com/parley-io/parley/transport"
)

// channel is a declared channel with its groups and, for a Stream, its log. A Queue has one group from the beginning,
// without a name.
type channel struct {
	fabric  *Fabric
	form    transport.Channel
	last    uint64         // sequence of the newest message
	log     fifo[*message] // of a Stream: what is kept
	bytes   int64          // of a Stream: in the log; else: of messages that some group has not handled
	groups  []*group       // by age, readers of their own among them
	recent  dedupe         // what was accepted within the window
	later   delayed        // what waits for its NotBefore
	arrived uint64         // how many ever did
	timer   *time.Timer    // for later[0]
}

func newChannel(f *Fabric, form transport.Channel) *channel {
	c := &channel{fabric: f, form: form, recent: dedupe{window: f.features.Dedupe}}
	if form.Pattern == transport.Queue {
		c.groups = []*group{newGroup(c, "")}
	}
	return c
}

// accept takes a message: into its place, or among the delayed ones.
func (c *channel) accept(m *message) transport.Receipt {
	now := time.Now()
	if r, ok := c.recent.find(m.envelope, now); ok {
		return r
	}
	if err := c.room(m); err != nil {
		return transport.Receipt{Err: err}
	}
	m.accepted = now
	m.partition = c.form.Partition(m.envelope.Key)
	r := transport.Receipt{Groups: c.audience(m.envelope.Group)}
	if m.envelope.NotBefore.After(now) {
		c.delay(m)
	} else {
		c.store(m, now)
		r.Position = m.position()
	}
	c.recent.add(m.envelope, r, now)
	return r
}

// store gives a message its place and hands it to the groups that it is for.
func (c *channel) store(m *message, now time.Time) {
	c.last++
	m.sequence, m.stored = c.last, now
	to := m.envelope.Group
	if c.form.Pattern == transport.Stream && to == "" {
		c.log.push(m)
		c.bytes += m.size
		c.trim()
	}
	for _, g := range c.groups {
		if c.form.Pattern == transport.Queue || to == "" || to == g.name {
			m.open++
			g.push(m)
		}
	}
	if c.form.Pattern != transport.Stream && m.open > 0 {
		c.bytes += m.size
	}
}

// release notes that one group is through with a message.
func (c *channel) release(m *message) {
	if m.open--; m.open == 0 && c.form.Pattern != transport.Stream {
		c.bytes -= m.size
	}
}

// room reports why a message would exceed RetainBytes, or nil. A Stream makes room for all but the impossible.
func (c *channel) room(m *message) error {
	limit, kept, why := c.form.RetainBytes, c.bytes, transport.ErrNotSent
	if c.form.Pattern == transport.Stream {
		kept, why = 0, transport.ErrRefused
	}
	if limit == 0 || kept+m.size <= limit {
		return nil
	}
	return fmt.Errorf("%w: %d bytes beside %d that the channel holds, and it may hold %d", why, m.size, kept, limit)
}

// trim drops what a Stream does not keep any longer, also from groups that have not got so far.
func (c *channel) trim() {
	for c.log.len() > 0 && (c.expired(c.log.all()[0]) || c.form.RetainBytes > 0 && c.bytes > c.form.RetainBytes) {
		m := c.log.pop()
		c.bytes -= m.size
		for _, g := range c.groups {
			g.lane(m).head()
		}
	}
}

// gone reports whether a message that waits is not kept any longer.
func (c *channel) gone(m *message) bool {
	return c.expired(m) || c.form.Pattern == transport.Stream && m.envelope.Group == "" && m.sequence < c.oldest()
}

func (c *channel) expired(m *message) bool {
	return c.form.Retain > 0 && time.Since(m.stored) > c.form.Retain
}

// oldest is the sequence of the oldest message in the log, or of the next one.
func (c *channel) oldest() uint64 {
	if c.log.len() == 0 {
		return c.last + 1
	}
	return c.log.all()[0].sequence
}

// audience is how many registered groups a message for a group ("" = all) goes to.
func (c *channel) audience(to string) (n int) {
	if c.form.Pattern == transport.Queue {
		return 1
	}
	for _, g := range c.groups {
		if !g.reader() && (to == "" || to == g.name) {
			n++
		}
	}
	return n
}

// group finds a registered group; nil = there is none of that name.
func (c *channel) group(name string) *group {
	for _, g := range c.groups {
		if g.name == name && !g.reader() {
			return g
		}
	}
	return nil
}

// register makes a group, or a reader of its own, which finds what the log has from a position on.
func (c *channel) register(name string, from transport.Position) (*group, error) {
	g := newGroup(c, name)
	if c.form.Pattern == transport.Stream {
		c.trim()
		i, err := c.find(from)
		if err != nil {
			return nil, err
		}
		for _, m := range c.log.all()[i:] {
			m.open++
			g.push(m)
		}
	}
	c.groups = append(c.groups, g)
	return g, nil
}

// remove forgets a group and what waits for it.
func (c *channel) remove(g *group) {
	if i := slices.Index(c.groups, g); i >= 0 {
		c.groups = slices.Delete(c.groups, i, i+1)
		g.drop()
	}
}
