package simulate

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	first    = flag.Uint64("first", 0, "the seed of the first schedule")
	number   = flag.Uint64("n", 2000, "how many schedules are played; with -short a tenth")
	duration = flag.Duration("duration", 0, "begin no schedule after so long; 0 = no bound")
	steps    = flag.String("steps", "", "with -n 1: only these steps of the schedule, joined by commas; \"\" = all")
	repeat   = flag.Int("repeat", 1, "how often each schedule is played at the most")
)

func TestMain(m *testing.M) {
	_ = os.Setenv("GODEBUG", "tracebacklabels=1") // so that a crash names its seed
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// enough failures: each is made smaller, which takes its time.
const enough = 3

func TestNoScheduleBreaksAPromise(t *testing.T) {
	g := &game{begin: time.Now(), last: *first + *number}
	if testing.Short() {
		g.last = *first + *number/10
	}
	g.next.Store(*first)
	for i := range runtime.GOMAXPROCS(0) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			for g.more() {
				if n := g.next.Add(1) - 1; n < g.last {
					g.play(t, n)
				}
			}
		})
	}
}

// game is schedules that are played side by side.
type game struct {
	begin        time.Time
	last         uint64 // the seed behind the last one
	next         atomic.Uint64
	done, failed atomic.Uint64
	told         atomic.Int64 // when something was said last, in seconds since begin
}

func (g *game) more() bool {
	return g.next.Load() < g.last && g.failed.Load() < enough && (*duration == 0 || time.Since(g.begin) < *duration)
}

// play plays a seed and explains what it broke.
func (g *game) play(t *testing.T, seed uint64) {
	s := chosen(t, seed)
	hung := time.AfterFunc(10*time.Minute, func() { panic(fmt.Sprintf("the schedule of seed %d does not end\n%s", seed, s)) })
	defer hung.Stop()
	pprof.Do(context.Background(), pprof.Labels("seed", strconv.FormatUint(seed, 10)), func(context.Context) {
		for range *repeat {
			if r := s.Play(t); len(r.Broken) > 0 {
				g.failed.Add(1)
				t.Error(explain(t, s, r))
				break
			}
		}
	})
	g.tell(g.done.Add(1))
}

// tell says every ten seconds how far it has come, to who wants to hear it.
func (g *game) tell(done uint64) {
	took := time.Since(g.begin)
	now, told := int64(took.Seconds()), g.told.Load()
	if testing.Verbose() && now >= told+10 && g.told.CompareAndSwap(told, now) {
		fmt.Printf("%d of %d schedules, %d broke a promise, %.0f/s\n", done, g.last-*first, g.failed.Load(), float64(done)/took.Seconds())
	}
}

// chosen is the schedule of a seed, or the steps of it that the flag names.
func chosen(t *testing.T, seed uint64) Schedule {
	s := New(seed)
	if *steps == "" {
		return s
	}
	var numbers []int
	for word := range strings.SplitSeq(*steps, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatalf("-steps %q: want numbers joined by commas: %v", *steps, err)
		}
		numbers = append(numbers, n)
	}
	return s.Only(numbers)
}

// explain makes s smaller, and tells how to play it again.
func explain(t *testing.T, s Schedule, r Report) string {
	const tries = 5
	small, again, ok := Shrink(t, s, tries)
	often := "It fails again, and so do these steps of it alone"
	if ok {
		r = again
	} else {
		often = fmt.Sprintf("It did not fail again in %d plays", tries)
	}
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprint(small.Numbers()), " ", ","), "[]")
	return fmt.Sprintf("%s\n\n%s. Play it:\n  go test ./delivery/simulate -run TestNoScheduleBreaksAPromise -count=1 -args -n 1 -repeat 100 -first %d -steps %s\n\n%s\n%s",
		strings.Join(r.Broken, "\n"), often, s.Seed, numbers, small, strings.Join(r.Story, "\n"))
}
