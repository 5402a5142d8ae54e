package presence

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/parley-io/parley"
)

const (
	heartbeat = 2 * time.Second // every announcement is repeated so often
	gone      = 3 * heartbeat   // an instance whose announcement is older than the newest by this is not there
	// pause is how long a silence of a process is counted as time that passes. In a longer one the broker was away, or the
	// process was: it makes nobody vanish, also not in the moment when the first one is heard again.
	pause = 2 * heartbeat
	keep  = 2 * time.Minute // retention of the announcements; older ones mean nothing any more
)

// name is what tells instances apart.
type name struct{ service, id string }

func nameOf(i parley.Instance) name { return name{i.Service, i.ID} }

// sighting is the newest announcement of an instance.
type sighting struct {
	instance parley.Instance
	body     []byte
	at       time.Duration // by the roster's clock
}

// hearing is the newest announcement of a process.
type hearing struct {
	made time.Time     // by the clock of the process
	at   time.Duration // by the roster's clock
}

// roster is who is there according to the announcements read so far. It has no clock but that of those who announce, each
// of which is compared with itself only: the time between two announcements of one process has passed for all.
type roster struct {
	seen  map[name]*sighting
	heard map[string]hearing // by process
	clock time.Duration
}

func newRoster() roster {
	return roster{seen: make(map[name]*sighting), heard: make(map[string]hearing)}
}

// advance notes that a process made an announcement at t, and forgets who has not been heard of for too long.
func (r *roster) advance(process string, t time.Time) (changed bool) {
	if last, ok := r.heard[process]; ok {
		if step := t.Sub(last.made); step > 0 && step <= pause {
			r.clock = max(r.clock, last.at+step)
		}
	}
	r.heard[process] = hearing{t, r.clock}
	for p, h := range r.heard {
		if r.clock-h.at >= gone {
			delete(r.heard, p)
		}
	}
	for n, s := range r.seen {
		if r.clock-s.at >= gone {
			delete(r.seen, n)
			changed = true
		}
	}
	return changed
}

// see notes an instance that announced itself just now; body is the record that said so.
func (r *roster) see(i parley.Instance, body []byte) (changed bool) {
	last, known := r.seen[nameOf(i)]
	r.seen[nameOf(i)] = &sighting{instance: i, body: body, at: r.clock}
	return !known || !bytes.Equal(last.body, body)
}

// miss notes the goodbye of an instance.
func (r *roster) miss(n name) (changed bool) {
	_, known := r.seen[n]
	delete(r.seen, n)
	return known
}

// people is a roster as it is asked for. It is not changed after it was made.
type people struct {
	instances []parley.Instance   // by service and id
	peers     map[string][]string // by address of calls; one that several instances share counts once
}

func (r *roster) view() *people {
	v := &people{peers: make(map[string][]string)}
	for _, s := range r.seen {
		v.instances = append(v.instances, s.instance)
	}
	slices.SortFunc(v.instances, func(a, b parley.Instance) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.ID, b.ID))
	})
	for _, i := range v.instances {
		if i.Peer == "" {
			continue
		}
		for _, address := range i.Answers {
			if !slices.Contains(v.peers[address], i.Peer) {
				v.peers[address] = append(v.peers[address], i.Peer)
			}
		}
	}
	return v
}
