package main

import (
	"slices"
	"strings"
	"time"
)

// standing is what running instances say of how they receive for one receiver.
type standing struct {
	said     int // instances
	paused   int // of them
	because  []string
	inFlight int64
	stuck    int64
	keys     int       // stopped ones, as the instance knows it that knows most
	probe    time.Time // when the kill switch tries a message first; zero = somebody has to resume it
}

// standingsOf adds up what instances said of themselves.
func standingsOf(all []described) map[receiver]standing {
	sums := make(map[receiver]standing)
	for _, d := range all {
		for _, to := range d.at.Receives {
			for _, sub := range d.is.Subscriptions {
				if sub.Address != to.Address || sub.Receiver != or(to.Group, to.Address) {
					continue
				}
				r := receiver{to.Address, to.Group}
				st := sums[r]
				st.said++
				st.inFlight += sub.InFlight
				st.stuck += sub.Stuck
				st.keys = max(st.keys, sub.StoppedKeys)
				if !sub.Probe.IsZero() && (st.probe.IsZero() || sub.Probe.Before(st.probe)) {
					st.probe = sub.Probe
				}
				if sub.Paused {
					st.paused++
					if !slices.Contains(st.because, sub.Because) {
						st.because = append(st.because, sub.Because)
					}
				}
				sums[r] = st
			}
		}
	}
	return sums
}

// paused is a receiver for which some instances take no messages, on purpose.
type paused struct {
	Address   string   `json:"address"`
	Group     string   `json:"group,omitzero"` // "" = of a command
	Instances int      `json:"instances"`      // that are paused
	Of        int      `json:"of"`             // that receive for it, and said how they do
	Because   []string `json:"because"`        // the different reasons
	// Probe is when the kill switch, which has paused it, tries a message; zero = it waits for "parley resume".
	Probe time.Time `json:"probe,omitzero"`
}

// of is st as it is listed, of a receiver.
func (st standing) of(r receiver) paused {
	return paused{Address: r.address, Group: r.group, Instances: st.paused, Of: st.said, Because: st.because, Probe: st.probe}
}

// String tells it to people: "paused in 1 of 2 instances: why".
func (p paused) String() string {
	text := "paused"
	if p.Instances < p.Of {
		text += " in " + fraction(p.Instances, p.Of) + " instances"
	}
	text += ": " + or(strings.Join(p.Because, "; "), "no reason was given")
	if !p.Probe.IsZero() {
		text += ", tried again at " + clock(p.Probe)
	}
	return text
}
