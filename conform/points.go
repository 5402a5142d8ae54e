package conform

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// Traffic sums up what was seen of the messages: those that were both sent and handled, in this process or its
// children.
type Traffic struct {
	Messages int     `json:"messages"`
	P50      float64 `json:"p50_ms"` // from sending, or the time that a message had to wait for, to the end of its handling
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
	Unread   string  `json:"unread,omitzero"` // why some of it is missing; "" = nothing is
}

// Point is a moment of the traffic.
type Point struct {
	At      Milliseconds `json:"at_ms"` // since the beginning of the run
	Handled int          `json:"handled"`
	P50     float64      `json:"p50_ms"` // 0 where nothing was handled
	P99     float64      `json:"p99_ms"`
	Backlog int          `json:"backlog"` // the most messages at a time that were sent and not handled yet
}

const (
	maxPoints = 400                    // as wide as a picture of them is
	minSpan   = 100 * time.Millisecond // between two
)

// watched fills in what was seen.
func (r *Report) watched(t *traffic) {
	r.Marks = slices.Clone(t.marks)
	slices.SortFunc(r.Marks, func(a, b Mark) int { return cmp.Compare(a.At, b.At) })
	r.Traffic = sum(t.trips)
	if err := errors.Join(t.unread...); err != nil {
		r.Traffic.Unread = err.Error()
	}
	r.Points = points(t.trips, r.Took.Duration())
}

func sum(trips []trip) Traffic {
	all := latencies(trips)
	if len(all) == 0 {
		return Traffic{}
	}
	return Traffic{Messages: len(all), P50: quantile(all, 0.5), P99: quantile(all, 0.99), Max: all[len(all)-1]}
}

// latencies are in milliseconds, sorted.
func latencies(trips []trip) (all []float64) {
	for _, x := range trips {
		all = append(all, milliseconds(x.to-x.from))
	}
	slices.Sort(all)
	return all
}

func milliseconds(nanoseconds int64) float64 {
	return float64(nanoseconds/10_000) / 100 // to a hundredth, which is what a reader can use
}

// quantile is of what is sorted and not empty.
func quantile(sorted []float64, q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }

// points are the moments of a run, equally far apart.
func points(trips []trip, took time.Duration) []Point {
	span := int64(max(minSpan, (took / maxPoints).Round(minSpan)))
	all := make([]Point, 0, maxPoints)
	parts := make(map[int64][]trip)
	for _, x := range trips {
		parts[x.to/span] = append(parts[x.to/span], x)
	}
	for i := int64(0); i*span < int64(took); i++ {
		p := Point{At: Milliseconds((i + 1) * span / int64(time.Millisecond)), Handled: len(parts[i])}
		if sorted := latencies(parts[i]); len(sorted) > 0 {
			p.P50, p.P99 = quantile(sorted, 0.5), quantile(sorted, 0.99)
		}
		all = append(all, p)
	}
	backlog(all, trips, span)
	return all
}

// backlog fills in the largest backlog of each point.
func backlog(all []Point, trips []trip, span int64) {
	type edge struct {
		at   int64
		step int
	}
	edges := make([]edge, 0, 2*len(trips))
	for _, x := range trips {
		edges = append(edges, edge{x.from, 1}, edge{x.to, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step)) })
	now, next := 0, 0
	for i := range all {
		all[i].Backlog = now
		for ; next < len(edges) && edges[next].at < int64(i+1)*span; next++ {
			now += edges[next].step
			all[i].Backlog = max(all[i].Backlog, now)
		}
	}
}
