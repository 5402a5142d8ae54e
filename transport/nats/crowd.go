package nats

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// crowd is what the bucket says of one group: its receivers, and who has which partition.
type crowd struct {
	members map[string]uint64 // by name: the revision in which it joined
	claims  map[int]claim     // by partition
	shares  map[*share]bool   // of this Broker; woken when something changes
}

// claim is what an ownership key says.
type claim struct {
	holder   string // a member, or free; "" = there is no such key
	revision uint64
}

// free is what an ownership key says when nobody has the partition. Names of members have a '-'.
const free = "free"

// sign is what is known of another Broker's lease.
type sign struct {
	revision uint64    // 0 = no such key was seen
	stamp    time.Time // the server's, of that revision
	heard    time.Time // by our clock: not before it was written
	gone     bool      // it was removed, which is for good
}

func newCrowd() *crowd {
	return &crowd{members: make(map[string]uint64), claims: make(map[int]claim), shares: make(map[*share]bool)}
}

// leaseOf is the id of the lease that a member lives by.
func leaseOf(member string) string {
	id, _, _ := strings.Cut(member, "-")
	return id
}

// byAge are the members whose lease is not gone, who joined first coming first.
func (c *crowd) byAge(gone func(member string) bool) []string {
	members := slices.DeleteFunc(slices.Collect(maps.Keys(c.members)), gone)
	slices.SortFunc(members, func(a, b string) int { return cmp.Compare(c.members[a], c.members[b]) })
	return members
}

// roster is what a share needs to know to decide.
type roster struct {
	lease   *lease           // nil = wait
	members []string         // who joined first comes first
	claims  map[int]claim    // by partition
	vacant  map[int]struct{} // partitions that nobody has
}

// look is the roster of a group, for one of its members ("" = not yet one).
func (o *owners) look(group, member string, partitions int) roster {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := roster{claims: make(map[int]claim), vacant: make(map[int]struct{})}
	gone := func(m string) bool { return o.sign(leaseOf(m)).gone }
	if !o.joined || gone(o.lease.id) { // the keeper will find out
		return r
	}
	c := o.crowd(group)
	r.lease, r.members = o.lease, c.byAge(gone)
	for p := range partitions {
		k := c.claims[p]
		r.claims[p] = k
		if slices.Contains([]string{"", free, member}, k.holder) || gone(k.holder) {
			r.vacant[p] = struct{}{}
		}
	}
	return r
}

// quota is how many partitions the i-th of n members shall have: as many as another, give or take one.
func quota(partitions, n, i int) int {
	q := partitions / n
	if i < partitions%n {
		q++
	}
	return q
}
