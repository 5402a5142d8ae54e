package conform

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

// stubborn declares nothing.
type stubborn struct {
	transport.Broker
	transport.Operator
}

func (stubborn) Declare(context.Context, []transport.Channel) error {
	return errors.New("I'd rather not")
}

func tried(t *testing.T, p place, site func() transporttest.Site, patience time.Duration, checks ...int) *Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	traffic, err := newTraffic(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := &run{options: Options{Checks: checks, Full: true, Seed: 9}, place: p, traffic: traffic, report: &Report{Broker: p.String(), Prefix: p.Prefix(), Began: traffic.began},
		stand: &stand{site: site, end: func(context.Context, []transport.Route) error { return errors.New("the door is closed to s/cret") }}}
	r.try(ctx)
	r.tidy(ctx)
	return r.report
}

func TestABrokenPromiseIsReportedWithTheCommandThatTriesItAgain(t *testing.T) {
	t.Parallel()
	p, err := locate("nats://ann:s%2Fcret@127.0.0.1:4222?prefix=try", "")
	if err != nil {
		t.Fatal(err)
	}
	site := func() transporttest.Site {
		s := inMemory().site()
		open := s.Open
		s.Open = func(ctx context.Context) (transport.Broker, error) {
			b, err := open(ctx)
			return stubborn{b, b.(transport.Operator)}, err //nolint:forcetypeassert // mem's is one
		}
		return s
	}
	r := tried(t, p, site, time.Minute, 7)
	c := r.Checks[0]
	if c.Outcome != transporttest.Failed || !r.Failed() || c.Detail == "" {
		t.Fatalf("got %s, failed %v, %q; want a failure with what was got and wanted", c.Outcome, r.Failed(), c.Detail)
	}
	if want := "parley conform 'nats://xxxxx@127.0.0.1:4222?prefix=try' --checks 7 --seed 9 --full"; c.Replay != want {
		t.Errorf("Replay = %s; want %s", c.Replay, want)
	}
	if want := "the door is closed to xxxxx"; r.Left != want {
		t.Errorf("Left = %s; want %s", r.Left, want)
	}
	text := render(t, r)
	for _, want := range []string{"1 of 1 promises broken", "--checks 7 --seed 9 --full", "Something is left behind", c.Detail[:20]} {
		if !strings.Contains(text, strings.NewReplacer("'", "&#39;", `"`, "&#34;").Replace(want)) {
			t.Errorf("the page has no %q; want it", want)
		}
	}
}

func render(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatalf("HTML = %v; want nil", err)
	}
	return b.String()
}

// sample has one of each outcome, and texts that a page must not take for its own.
func sample() *Report {
	return &Report{
		Broker: "nats://xxxxx@host", Prefix: "conform-1", Began: time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC), Took: 95_000,
		Features: Features{MaxBytes: 262_144, Dedupe: "2m0s", Delay: "876000h0m0s", Survives: "power"},
		Counts:   Counts{Passed: 1, Failed: 1, Declared: 1, NotRun: 1},
		Checks: []Check{
			{Suite: SuiteBroker, Number: 1, Name: "one", Outcome: transporttest.Passed, At: 0, Took: 30_000, Messages: 7},
			{Suite: SuiteBroker, Number: 2, Name: "two", Outcome: transporttest.Failed, Detail: "got <script>alert(1)</script>\nwant none", Replay: "parley conform 'x'", At: 30_000, Took: 40_000},
			{Suite: SuiteBroker, Number: 3, Name: "three", Outcome: transporttest.NotRun, Detail: "no way", At: 70_000},
			{Suite: SuiteDelivery, Number: 4, Name: "four", Outcome: transporttest.Declared, Detail: "it cannot", At: 70_000},
		},
		Traffic: Traffic{Messages: 3, P50: 3, P99: 4000, Max: 4000},
		Points:  []Point{{At: 47_500, Handled: 2, P50: 3, P99: 20, Backlog: 3}, {At: 95_000, Handled: 1, P50: 4000, P99: 4000, Backlog: 1}},
		Marks:   []Mark{{At: 31_000, Until: 31_000, Check: "2 two", What: "receive process killed"}, {At: 40_000, Until: 50_000, Check: "2 two", What: "broker away"}},
	}
}

func TestThePageNeedsNothingFromElsewhereAndTakesNoTextForItsOwn(t *testing.T) {
	t.Parallel()
	text := render(t, sample())
	if found := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|\bsrc=|href=|url\(|@import|https?://`).FindString(text); found != "" {
		t.Errorf("the page has %q; want nothing that comes from elsewhere, and no script", found)
	}
	if strings.Contains(text, "ZgotmplZ") || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("the page has values that are none; want numbers")
	}
	for _, want := range []string{"prefers-color-scheme: dark", "1 of 2 promises broken", "alert(1)", "100 years", "2 minutes"} {
		if want == "2 minutes" {
			want = "2m0s"
		}
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q; want it", want)
		}
	}
	for _, outcome := range []string{"passed", "failed", "declared", "not run"} {
		if !strings.Contains(text, ">"+outcome+"</span><span class=\"num\"") {
			t.Errorf("the page has no line with the outcome %q; want one of each", outcome)
		}
	}
}

func TestThePictureIsWellFormedForAnyRun(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*Report{
		"usual": sample(), "empty": {}, "stopped at once": {Took: 3, Stopped: "enough"},
		"long": {Took: 7_200_000, Points: []Point{{At: 7_200_000, Handled: 1, P50: 0.01, P99: 900_000, Backlog: 1_000_000}}},
	} {
		text := render(t, r)
		begin, end := strings.Index(text, "<svg"), strings.Index(text, "</svg>")
		if begin < 0 || end < begin {
			t.Fatalf("%s: the page has no picture; want one", name)
		}
		for d := xml.NewDecoder(strings.NewReader(text[begin : end+len("</svg>")])); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: reading the picture: %v; want it well-formed", name, err)
			}
		}
	}
}

func TestTheReportAsJSONIsWhatItWasAndHasItsTimesInMilliseconds(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(sample())
	if err != nil {
		t.Fatalf("Marshal = %v; want nil", err)
	}
	var again Report
	if err := json.Unmarshal(text, &again, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("Unmarshal = %v; want nil", err)
	}
	back, err := json.Marshal(&again)
	if err != nil || !bytes.Equal(text, back) {
		t.Errorf("got %s, %v; want %s", back, err, text)
	}
	if !bytes.Contains(text, []byte(`"took_ms":95000`)) || !bytes.Contains(text, []byte(`"outcome":"not run"`)) {
		t.Errorf("got %s; want took_ms and outcomes in words", text)
	}
}
