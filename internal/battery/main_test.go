package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"github.com/parley-io/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	transporttest.Play(play)
	goleak.VerifyTestMain(m)
}

// One of the few tests with real time: processes can't have another one. It offers what a slow and busy disk syncs.
func TestNothingIsLostWhenAnEmbeddedBrokerIsKilled(t *testing.T) {
	t.Parallel()
	var out, progress bytes.Buffer
	code := run(t.Context(), []string{"-network", "embedded", "-only", "kill", "-short", "-seed", "3", "-rate", "200", "-o", "json"}, &out, &progress)
	if code != 0 {
		t.Errorf("exit code = %d; want 0\n%s\n%s", code, &progress, &out)
	}
	var results []result
	if err := json.Unmarshal(out.Bytes(), &results); err != nil || len(results) != 1 {
		t.Fatalf("%d results, %v; want one: %s", len(results), err, &out)
	}
	r := results[0]
	if !r.Passed || r.Seed != 3 || r.Network != "embedded" || len(r.Figures) == 0 {
		t.Errorf("result = %+v; want one that passed, with its seed and figures", r)
	}
	if told := strings.Count(progress.String(), " of 5: messages flow"); told != 5 {
		t.Errorf("%d kills were told, want 5:\n%s", told, &progress)
	}
}

func TestWordsThatAreNotUnderstoodAreAnsweredWithWhatThereIs(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"-network pigeon":     "embedded, nats, rabbitmq, kafka",
		"-only dance":         "kill",
		"-only kill,cluster":  "cluster",
		"-cluster -only away": "-cluster",
		"-o yaml":             "json",
		"stray":               "no arguments",
		"-rate -1":            "0 or more",
		"-loud":               "-network",
	} {
		var out, progress bytes.Buffer
		if code := run(t.Context(), strings.Fields(words), &out, &progress); code != 2 || !strings.Contains(progress.String(), want) {
			t.Errorf("%s: code %d, %q; want 2 and a word of %q", words, code, &progress, want)
		}
	}
}

func TestAClusterHasItsOwnScenario(t *testing.T) {
	t.Parallel()
	names := func(cluster bool) (all []string) {
		chosen, err := choose("", cluster)
		if err != nil {
			t.Fatal(err)
		}
		for _, sc := range chosen {
			all = append(all, sc.name)
		}
		return all
	}
	if got := strings.Join(names(true), " "); got != "cluster" {
		t.Errorf("scenarios of a cluster = %q; want cluster", got)
	}
	if got := names(false); len(got) != len(scenarios())-1 {
		t.Errorf("scenarios of one broker = %q; want all but one", got)
	}
}

func TestWhatIsWrongIsReportedWithTheCommandThatDoesItAgain(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	again := options{network: "nats", seed: 7, short: true, rate: 90}.again("kill")
	if want := "go run ./internal/battery -network nats -only kill -seed 7 -short -rate 90"; again != want {
		t.Errorf("again = %q; want %q", again, want)
	}
	results := []result{{Scenario: "kill", Network: "nats", Again: again, Problems: []string{"1 lost"}, Figures: []figure{{"lost", "1"}}}}
	if err := report(&out, "text", results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"WRONG: 1 lost", again} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("report = %q; want %q in it", &out, want)
		}
	}
}

func TestAWorkerThatIsToldToEndWhileItOpensEndsInOrder(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, verb := range []string{"publish", "handle", "churn"} {
		work := fmt.Sprintf(`{"verb":%q,"url":"nats://127.0.0.1:1","name":"n"}`, verb)
		if err := play(ctx, []string{"work", work}); err != nil {
			t.Errorf("%s, told to end before it had begun: %v; want nil", verb, err)
		}
	}
	if err := play(ctx, []string{"work", `{"verb":"dance"}`}); err == nil {
		t.Error("a verb that there is not: nil; want an error")
	}
}
