package conform

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// picture is the traffic over time as parts of one SVG: the checks on top, then latency, then backlog.
type picture struct {
	Checks  []bar
	Latency panel
	Backlog panel
	Times   []tick // along the bottom
	Marks   []band

	P50, P99, Waiting string // paths
}

// The places of things, in units of the picture.
const (
	left, right         = 64.0, 1176.0
	checksTop, checksH  = 8.0, 22.0
	latencyTop, latentH = 62.0, 180.0
	backlogTop, waitH   = 286.0, 100.0
	bottom              = backlogTop + waitH
)

// panel is a diagram with lines across.
type panel struct {
	Top, Height float64
	Lines       []tick
}

// tick is a place on an axis, with what stands there.
type tick struct {
	At    float64
	Label string
}

// bar is a check.
type bar struct {
	X, Width     float64
	Class        string
	Label, Title string
}

// Middle is where the label stands, from X.
func (b bar) Middle() float64 { return round(b.Width / 2) }

// band is what was done to a process; narrow where it was an instant.
type band struct {
	X, Width float64
	Title    string
}

// scale is the picture's measure of time.
type scale struct{ took Milliseconds }

func (s scale) x(at Milliseconds) float64 {
	return round(left + (right-left)*min(1, float64(at)/float64(max(s.took, 1))))
}

func round(f float64) float64 { return math.Round(f*10) / 10 }

// draw makes the picture of a report.
func draw(r *Report) picture {
	s := scale{r.Took}
	p := picture{
		Latency: panel{Top: latencyTop, Height: latentH}, Backlog: panel{Top: backlogTop, Height: waitH}, Times: times(s),
	}
	for _, c := range r.Checks {
		b := bar{X: s.x(c.At), Class: class(c.Outcome), Title: fmt.Sprintf("%d %s: %s, %s", c.Number, c.Name, c.Outcome, took(c.Took))}
		if b.Width = max(1.5, s.x(c.At+c.Took)-b.X-1); b.Width > 18 {
			b.Label = strconv.Itoa(c.Number)
		}
		p.Checks = append(p.Checks, b)
	}
	for _, m := range r.Marks {
		title := fmt.Sprintf("%s at %s, in %s", m.What, took(m.At), m.Check)
		if m.Until > m.At {
			title = fmt.Sprintf("%s for %s at %s, in %s", m.What, took(m.Until-m.At), took(m.At), m.Check)
		}
		p.Marks = append(p.Marks, band{s.x(m.At), max(1.5, s.x(m.Until)-s.x(m.At)), title})
	}
	p.latency(s, r.Points)
	p.backlog(s, r.Points)
	return p
}

// latency draws a bar from the median to the 99th percentile of each moment, on a scale of powers of ten.
func (p *picture) latency(s scale, points []Point) {
	const lowest = -1 // a tenth of a millisecond
	highest := 1.0
	for _, x := range points {
		if x.P99 > 0 {
			highest = max(highest, math.Ceil(math.Log10(x.P99)))
		}
	}
	y := func(ms float64) float64 {
		share := (math.Log10(max(ms, math.Pow10(lowest))) - lowest) / (highest - lowest)
		return round(latencyTop + latentH*(1-share))
	}
	for e := lowest; e <= int(highest); e++ {
		p.Latency.Lines = append(p.Latency.Lines, tick{y(math.Pow10(e)), power(e)})
	}
	var median, tail strings.Builder
	from := left
	for _, x := range points {
		to := s.x(x.At)
		if width := round(max(1.6, to-from)); x.Handled > 0 {
			fmt.Fprintf(&median, "M%g %gh%gv2.2h-%gz", from, y(x.P50)-1.1, width, width)
			fmt.Fprintf(&tail, "M%g %gV%gh%gV%gz", from, y(x.P50), min(y(x.P99), y(x.P50)-1), width, y(x.P50))
		}
		from = to
	}
	p.P50, p.P99 = median.String(), tail.String()
}

// power is 10^e milliseconds in words.
func power(e int) string {
	switch {
	case e < 0:
		return fmt.Sprintf("%g ms", math.Pow10(e))
	case e < 3:
		return fmt.Sprintf("%.0f ms", math.Pow10(e))
	}
	return fmt.Sprintf("%.0f s", math.Pow10(e-3))
}

// backlog draws an area.
func (p *picture) backlog(s scale, points []Point) {
	most := 1
	for _, x := range points {
		most = max(most, x.Backlog)
	}
	step := niceStep(float64(most) / 3)
	top := step * math.Ceil(float64(most)/step)
	y := func(n float64) float64 { return round(bottom - waitH*n/top) }
	for n := 0.0; n <= top; n += step {
		p.Backlog.Lines = append(p.Backlog.Lines, tick{y(n), fmt.Sprintf("%g", n)})
	}
	var area strings.Builder
	fmt.Fprintf(&area, "M%g %g", left, bottom)
	for _, x := range points {
		fmt.Fprintf(&area, "V%gH%g", y(float64(x.Backlog)), s.x(x.At))
	}
	fmt.Fprintf(&area, "V%gZ", bottom)
	p.Waiting = area.String()
}

// times are some round ones.
func times(s scale) (all []tick) {
	took := s.took.Duration()
	step := time.Second
	for _, d := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 30 * time.Minute, time.Hour,
	} {
		if step = d; took/d <= 12 {
			break
		}
	}
	for t := time.Duration(0); t <= took; t += step {
		all = append(all, tick{s.x(Milliseconds(t.Milliseconds())), clock(t)})
	}
	return all
}

// clock is a time of a run: 45s, 1:30, 2:00:00.
func clock(t time.Duration) string {
	s := int(t.Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// niceStep is the next of 1, 2, 5, 10, 20 and so on.
func niceStep(least float64) float64 {
	for decade := 1.0; ; decade *= 10 {
		for _, n := range []float64{1, 2, 5} {
			if n*decade >= least {
				return n * decade
			}
		}
	}
}
