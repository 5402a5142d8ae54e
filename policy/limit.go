package policy

import "time"

const (
	limitWindow  = 100 * time.Millisecond // the shortest time that the limit is judged by
	limitSamples = 10                     // and the fewest requests
	limitStep    = 1.25                   // growth while there is room
	limitLeap    = 2                      // growth while there is much
	limitCut     = 0.5                    // it never falls below that share at once
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
// did, however far below the limit that was.
//
// Else only a window in which requests had to queue says something about the limit. Each handler has a usual time: what
// it takes while at most half of the limit is in use. Requests that take longer by more than the slack (50 ms, or as
// long again) say that more at once only makes each slower: the limit falls in proportion. Less than half of the slack
// says that there is room: it grows by a quarter; less than a quarter: it doubles. A window without a queue lets a limit
// below the initial one go back to it slowly. At the lowest limit slowness is not the doing of too many at once (what
// the handler calls has become slow): then the usual time follows, and the limit may grow again.
//
// The slack is a time and not only a ratio because waiting for a processor can multiply what a quick handler takes
// without harm to anybody; requests with some hundred milliseconds left must still be answered in time.
type limit struct {
	o       AdmissionOptions
	present float64

	// The window.
	began    time.Time
	need     int           // requests that it must have
	samples  int           // requests that it has
	took     time.Duration // all of them together
	usual    time.Duration // what they would take with room
	accepted time.Duration // what they may take
	late     int           // requests that ran into their deadline
	peak     int           // most that ran at once
	full     bool          // a request found the limit reached
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
	h.learn(took, how, room || l.present <= float64(l.o.Min))
	slack := max(h.usual, l.o.Wait)
	l.samples++
	if how == tooSlow {
		l.late++
	}
	l.took += min(took, outlier*(h.usual+slack))
	l.usual += h.usual
	l.accepted += h.usual + slack
	if l.samples >= l.need && now.Sub(l.began) >= limitWindow {
		l.adapt()
		*l = limit{o: l.o, present: l.present, began: now, need: max(limitSamples, l.allows())}
	}
}

func (l *limit) adapt() {
	initial := float64(l.o.Initial)
	slack, slower := l.accepted-l.usual, l.took-l.usual
	switch {
	case float64(l.late) > limitLate*float64(l.samples):
		l.present = limitCut * min(l.present, float64(l.peak))
	case !l.full:
		l.present += max(initial-l.present, 0) / limitCalm
	case slower > slack:
		l.present *= max(limitCut, float64(l.accepted)/float64(l.took))
	case slower < slack/4:
		l.present *= limitLeap
	case slower < slack/2:
		l.present *= limitStep
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
