package ledger

// story is all hops of one correlation.
type story struct {
	id         string
	hops       []*hop
	omitted    int    // transitions of hops that did not fit
	changed    uint64 // the revision of the last change
	prev, next *story // the ring of stories, from the one that changed first
}

// storyBytes is what a story takes beside its hops, its places in the map and the ring included.
const storyBytes = 110

// first is when the story began, in nanoseconds.
func (s *story) first() int64 {
	var first int64
	for _, h := range s.hops {
		if at := h.first(); at != 0 && (first == 0 || at < first) {
			first = at
		}
	}
	return first
}

// last is when something of the story happened last, in nanoseconds.
func (s *story) last() int64 {
	var last int64
	for _, h := range s.hops {
		last = max(last, h.last())
	}
	return last
}

// story finds or makes a story.
func (x *Index) story(id string) *story {
	s := x.stories[id]
	if s == nil {
		s = &story{id: id}
		x.stories[id] = s
		x.size += storyBytes
		x.link(s)
	}
	return s
}

// move takes h out of its story, which is forgotten when nothing is left of it, and puts it into another.
func (x *Index) move(h *hop, to *story) {
	from := h.story
	for i := range from.hops {
		if from.hops[i] == h {
			from.hops = append(from.hops[:i], from.hops[i+1:]...)
			break
		}
	}
	if len(from.hops) == 0 {
		x.forget(from)
	}
	h.story = to
	to.hops = append(to.hops, h)
}

// touch makes s the story that changed last.
func (x *Index) touch(s *story) {
	if x.oldest.prev != s {
		x.unlink(s)
		x.link(s)
	}
}

func (x *Index) forget(s *story) {
	x.unlink(s)
	delete(x.stories, s.id)
	x.size -= storyBytes
}

func (x *Index) link(s *story) {
	if x.oldest == nil {
		s.prev, s.next = s, s
		x.oldest = s
		return
	}
	s.prev, s.next = x.oldest.prev, x.oldest
	s.prev.next, s.next.prev = s, s
}

func (x *Index) unlink(s *story) {
	if s.next == s {
		x.oldest = nil
		return
	}
	s.prev.next, s.next.prev = s.next, s.prev
	if x.oldest == s {
		x.oldest = s.next
	}
}
