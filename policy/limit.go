package policy

import "time"

const (
	limitWindow  = 100 * time.Millisecond // the shortest time that the limit is judged by
	limitSamples = 10                     // and the fewest requests
	limitGrowth  = 1.5                    // while there is room
	limitCut     = 0.5                    // of what ran, when too many end in vain
	limitCalm    = 20                     // windows, about, in which what load taught is forgotten
	limitLate    = 0.05                   // share of requests that end in vain, by their deadline
	usualWeight  = 1. / 32
	medianStep   = 1. / 20
	outlier      = 10 // one request counts at the most as so many usual ones
)

// limit is how many requests may run at once. It adapts in windows of 100 ms or as many requests as ran when the
// window began, whichever takes longer.
//
// Requests that run into their deadline are work in vain. More than a twentieth of them: half as many may run at once as
// did, however far below the limit that was, and from then on, until a calm, the limit grows by small steps only.
//
// Else a window in which requests had to queue may let it grow. Each handler has a usual time, what it takes while at
// most half of the limit is in use; requests that take longer by less than the slack (25 ms, or half as long again) say
// that there is room, and the limit grows by half. Slower ones leave it as it is: either more at once only makes each
// slower, or what the handler calls has become slow, and fewer at once would only do less. In that doubt, at or below
// the initial limit, the usual time follows, and the limit may grow again. A window without a queue lets a limit below
// the initial one go back to it slowly.
//
// The slack is a time and not only a ratio because waiting for a processor can multiply what a quick handler takes
// without harm to anybody.
type limit struct {
	o       AdmissionOptions
	present float64
	careful bool // it was too high lately

	// The window.
	began   time.Time
	need    int           // requests that it must have
	samples int           // requests that it has
	took    time.Duration // all of them together
	usual   time.Duration // what they would take with room
	slack   time.Duration // what they may take beyond that
	late    int           // requests that ran into their deadline
	peak    int           // most that ran at once
	full    bool          // a request found the limit reached
}

// handler is what is known about one handler.
type handler struct {
	usual  time.Duration // mean with room; 0 = unknown
	median time.Duration // of recent requests
}

// outcome is how a handler ended.
type outcome uint8

const (
	unfinished outcome = iota // by an error, a panic, or because the caller gave up: its time says nothing
	answered
	tooSlow // its deadline passed
)

func newLimit(o AdmissionOptions, now time.Time) limit {
	return limit{o: o, present: float64(o.Initial), began: now, need: limitSamples}
}

func (l *limit) allows() int { return int(l.present) }

// ended takes one request into the window and into what is known about h.
func (l *limit) ended(h *handler, now time.Time, took time.Duration, room bool, how outcome) {
	if how == unfinished {
		return
	}
	h.learn(took, how, room || l.present <= float64(l.o.Initial))
	slack := max(h.usual, l.o.Wait) / 2
	l.samples++
	if how == tooSlow {
		l.late++
	}
	l.took += min(took, outlier*max(h.usual, l.o.Wait))
	l.usual += h.usual
	l.slack += slack
	if l.samples >= l.need && now.Sub(l.began) >= limitWindow {
		l.adapt()
		*l = limit{o: l.o, present: l.present, careful: l.careful, began: now, need: max(limitSamples, l.allows())}
	}
}

func (l *limit) adapt() {
	initial := float64(l.o.Initial)
	switch {
	case float64(l.late) > limitLate*float64(l.samples):
		l.present = limitCut * min(l.present, float64(l.peak))
		l.careful = true
	case !l.full:
		l.careful = false
		l.present += max(initial-l.present, 0) / limitCalm
	case l.took-l.usual >= l.slack:
	case l.careful:
		l.present += float64(l.o.Min)
	default:
		l.present *= limitGrowth
	}
	l.present = min(max(l.present, float64(l.o.Min)), float64(l.o.Max))
}

// learn follows what h takes. Slower than usual becomes usual only if current, which says that it is not because too
// many run.
func (h *handler) learn(took time.Duration, how outcome, current bool) {
	took = max(took, 1)
	if h.median == 0 {
		h.median = took
	}
	step := max(time.Duration(medianStep*float64(h.median)), 1)
	if took > h.median {
		h.median += step
	} else if took < h.median {
		h.median -= step
	}
	switch {
	case how == tooSlow:
	case h.usual == 0:
		h.usual = took
	case current || took < h.usual:
		h.usual += time.Duration(usualWeight * float64(took-h.usual))
	}
}
