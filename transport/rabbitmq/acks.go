package rabbitmq

// acks turns settled deliveries of one AMQP channel into few acknowledgements: one for all up to a tag while they are
// settled in order, and single ones for what is settled ahead of something that takes longer. The zero acks is ready.
type acks struct {
	floor  uint64   // everything up to here is settled at the server
	states []status // of the tags that follow
	ahead  int      // tags of status handled that are not told
}

type status uint8

const (
	open    status = iota
	handled        // the server does not know yet
	told           // the server knows
)

// handle notes that a tag is handled.
func (a *acks) handle(tag uint64) {
	if s := a.at(tag); *s == open {
		*s = handled
		a.ahead++
	}
}

// tell notes that the server has been told of a tag otherwise.
func (a *acks) tell(tag uint64) {
	s := a.at(tag)
	if *s == handled {
		a.ahead--
	}
	*s = told
}

// prefix moves the floor up, and gives the tag up to which all are to be acknowledged at once; 0 = none is. The server
// wants a tag there that it does not know to be settled.
func (a *acks) prefix() (tag uint64) {
	n := 0
	for ; n < len(a.states) && a.states[n] != open; n++ {
		if a.states[n] == handled {
			tag = a.floor + uint64(n) + 1
			a.ahead--
		}
	}
	a.floor += uint64(n)
	a.states = a.states[n:]
	return tag
}

// stragglers gives the tags that are handled, to be acknowledged singly.
func (a *acks) stragglers() (tags []uint64) {
	if a.ahead == 0 {
		return nil
	}
	for i, s := range a.states {
		if s == handled {
			a.states[i] = told
			tags = append(tags, a.floor+uint64(i)+1)
		}
	}
	a.ahead = 0
	return tags
}

func (a *acks) at(tag uint64) *status {
	if tag <= a.floor {
		s := told
		return &s
	}
	for uint64(len(a.states)) < tag-a.floor {
		a.states = append(a.states, open)
	}
	return &a.states[tag-a.floor-1]
}
