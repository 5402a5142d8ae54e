package conform_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/parley-io/parley/conform"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	conform.Play()
	goleak.VerifyTestMain(m)
}

func TestARunTriesWhatWasChosenOfEachSuiteAndTellsItsProgress(t *testing.T) {
	t.Parallel()
	var told []string
	r, err := conform.Run(t.Context(), conform.Options{URL: "mem://", Checks: []int{1, 2, 44}, Progress: func(p conform.Progress) {
		told = append(told, p.Check.Suite+" "+string(p.Check.Outcome))
		if p.Of != 4 || p.Nth != (len(told)+1)/2 {
			t.Errorf("got progress %d of %d as number %d; want a pair for each of 4", p.Nth, p.Of, len(told))
		}
	}})
	if err != nil {
		t.Fatalf("Run = %v; want nil", err)
	}
	if want := []string{"broker ", "broker passed", "broker ", "broker declared", "broker ", "broker passed", "delivery ", "delivery passed"}; !slices.Equal(told, want) {
		t.Errorf("got progress %q; want %q", told, want)
	}
	if want := (conform.Counts{Passed: 3, Declared: 1}); r.Counts != want || r.Failed() || r.Stopped != "" {
		t.Errorf("got %+v, failed %v, stopped %q; want %+v and neither", r.Counts, r.Failed(), r.Stopped, want)
	}
	if r, err := conform.Run(t.Context(), conform.Options{URL: "mem://", Checks: []int{32}}); err != nil || r.Counts != (conform.Counts{Passed: 1, Declared: 1}) {
		t.Errorf("check 32 of both suites = %v, %v; want that of the broker declared, and that of delivery passed", r, err)
	}
	if r.Features.Survives != "nothing" || r.Features.MaxBytes != transport.DefaultMaxBody {
		t.Errorf("got features %+v; want those of mem", r.Features)
	}
	if r.Checks[0].Messages == 0 || r.Traffic.Messages < r.Checks[0].Messages || len(r.Points) == 0 || r.Traffic.Unread != "" {
		t.Errorf("got traffic %+v in %d points, %d messages of the first check; want what the checks sent and handled", r.Traffic, len(r.Points), r.Checks[0].Messages)
	}
}

func TestWrongOptionsAreToldAllAtOnceBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	_, err := conform.Run(t.Context(), conform.Options{URL: "amqp://ann:secret@host/?colour=red", Checks: []int{1, 999}})
	if !errors.Is(err, conform.ErrOptions) || !errors.Is(err, network.ErrURL) {
		t.Fatalf("Run = %v; want ErrOptions and network.ErrURL", err)
	}
	for _, want := range []string{"colour", "999"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Run = %v; want it to name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("Run = %v; want no password in it", err)
	}
}

func TestABrokerThatIsNotThereIsUnavailableAndItsPasswordIsNotTold(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"nats://ann:secret@127.0.0.1:1", "amqp://ann:secret@127.0.0.1:1", "kafka://ann:secret@127.0.0.1:1?sasl=plain"} {
		_, err := conform.Run(t.Context(), conform.Options{URL: url})
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("Run of %s = %v; want an error with the address and without the password", strings.Replace(url, "secret", "…", 1), err)
		}
	}
}

// elsewhere is a server of the test's own that a run does not own.
func elsewhere(t *testing.T) (url string, streams func() []string) {
	t.Helper()
	const token = "no-secret-of-anybody"
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Token: token})
	if err != nil {
		t.Fatalf("starting a server: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
	})
	return strings.Replace(s.URL(), "://", "://"+token+"@", 1) + "?survives=power&prefix=try", func() (names []string) {
		nc, err := natsio.Connect("", natsio.InProcessServer(s), natsio.Token(token))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		all := js.StreamNames(t.Context())
		for n := range all.Name() {
			names = append(names, n)
		}
		if err := all.Err(); err != nil {
			t.Fatal(err)
		}
		return names
	}
}

func TestABrokerElsewhereIsNotKilledAndNothingIsLeftOnIt(t *testing.T) {
	t.Parallel()
	url, streams := elsewhere(t)
	during := 0
	r, err := conform.Run(t.Context(), conform.Options{URL: url, Checks: []int{2, 13, 16}, Progress: func(conform.Progress) {
		during = max(during, len(streams()))
	}})
	if err != nil {
		t.Fatalf("Run = %v; want nil", err)
	}
	if want := (conform.Counts{Passed: 2, NotRun: 1}); r.Counts != want || r.Failed() {
		t.Errorf("got %+v; want %+v: to kill it is not ours\n%s", r.Counts, want, details(r))
	}
	if !strings.HasPrefix(r.Prefix, "try-") || strings.Contains(r.Broker, "no-secret") {
		t.Errorf("got prefix %q of %s; want one that begins with that of the URL, which shows no token", r.Prefix, r.Broker)
	}
	if left := streams(); len(left) > 0 || during == 0 || r.Left != "" {
		t.Errorf("got the streams %q left of %d, and %q; want some while it ran, and none after", left, during, r.Left)
	}
	killed := 0
	for _, m := range r.Marks {
		if m.Check == "13 killed consumer" && m.What == "receive process killed" {
			killed++
		}
	}
	if killed < 5 {
		t.Errorf("got %d marks of killed processes in %+v; want five at least", killed, r.Marks)
	}
	if r.Checks[1].Messages < 200 {
		t.Errorf("got %d messages of check 13; want 200 at least, most of which other processes handled", r.Checks[1].Messages)
	}
}

func TestARunThatIsStoppedSaysSoAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	url, streams := elsewhere(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := conform.Run(ctx, conform.Options{URL: url, Checks: []int{1, 13, 44}, Progress: func(p conform.Progress) {
		if p.Check.Number == 13 {
			cancel(errors.New("enough"))
		}
	}})
	if err != nil {
		t.Fatalf("Run = %v; want nil", err)
	}
	if want := (conform.Counts{Passed: 1, NotRun: 3}); r.Counts != want || r.Stopped != "enough" {
		t.Errorf("got %+v, stopped %q; want %+v, stopped because of enough\n%s", r.Counts, r.Stopped, want, details(r))
	}
	if left := streams(); len(left) > 0 || r.Left != "" {
		t.Errorf("got the streams %q left, and %q; want none", left, r.Left)
	}
}

func TestAnEmbeddedBrokerIsKilledAndItsDataIsDeleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, err := conform.Run(t.Context(), conform.Options{URL: "embedded://" + dir, Checks: []int{2}})
	if err != nil {
		t.Fatalf("Run = %v; want nil", err)
	}
	if c := r.Checks[0]; c.Outcome == transporttest.NotRun || r.Left != "" {
		t.Errorf("got %s: %s, %q left; want it tried, as this broker is the run's own to kill", c.Outcome, c.Detail, r.Left)
	}
	if len(r.Marks) == 0 || r.Marks[0].What != "broker killed" || r.Marks[0].Until <= r.Marks[0].At {
		t.Errorf("got the marks %+v; want the kills of the broker, with their ends", r.Marks)
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("got %v left in the directory, %v; want nothing", left, err)
	}
}

func details(r *conform.Report) string {
	var all strings.Builder
	for _, c := range r.Checks {
		all.WriteString(c.Name + ": " + string(c.Outcome) + ": " + c.Detail + "\n")
	}
	return all.String()
}
