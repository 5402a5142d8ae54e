package transporttest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport/transporttest"
)

func TestThePageAboutBrokersIsMadeFromTheResultsOfTheSuite(t *testing.T) {
	const page = "../../docs/brokers.md"
	cards, err := transporttest.ReadCards("../../docs/brokers")
	if err != nil {
		t.Fatal(err)
	}
	want := transporttest.Table(cards)
	if strings.Contains(want, "no result |") {
		t.Error("a broker has no result of a check; want its suite run with PARLEY_UPDATE=1")
	}
	if os.Getenv("PARLEY_UPDATE") != "" {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/brokers.md is not what docs/brokers/*.json say; run the tests of this package with PARLEY_UPDATE=1")
	}
}

func TestATableTellsTheFeaturesTheOutcomesAndTheReasonsOfEachBroker(t *testing.T) {
	t.Parallel()
	one := &transporttest.Card{Name: "one", MaxBytes: 1 << 20, Dedupe: "0s", Delay: "876000h0m0s", Survives: "process", Streams: true}
	two := &transporttest.Card{Name: "two", MaxBytes: 1000, Dedupe: "2m0s", Delay: "0s", Survives: "node", Audience: true}
	for _, p := range transporttest.Brokers() {
		one.Checks = append(one.Checks, transporttest.Line{Number: p.Number, Outcome: transporttest.Passed})
		x := transporttest.Line{Number: p.Number, Outcome: transporttest.Passed}
		if p.Number == 20 {
			x = transporttest.Line{Number: p.Number, Outcome: transporttest.Declared, Reason: "it has no clock"}
		}
		if p.Number == 35 {
			x = transporttest.Line{Number: p.Number, Outcome: transporttest.NotRun, Reason: "no hammer"}
		}
		if p.Number == 3 {
			x.Long = true
		}
		two.Checks = append(two.Checks, x)
	}
	got := transporttest.Table([]*transporttest.Card{one, two})
	for _, want := range []string{
		"| largest message, body and headers | 1024 KiB | 1000 bytes |",
		"| repeats of a message are stored once within | none | 2m |",
		"| longest delay that the broker itself carries | 100 years | none |",
		"| streams, positions, replay | yes | no |",
		"| a receipt tells how many groups subscribe | no | yes |",
		"| a confirmed message survives the loss of | the broker's process | one of its nodes |",
		"| 1 identity is stable | passed | passed |",
		"| 3 power loss | passed | passed (long suites) |",
		"What has passed in the long suites was shown by `make battery-suites`",
		"| 20 not before its time | passed | declared (1) |",
		"1. two cannot keep 20 (not before its time): it has no clock.",
		"| 35 broker away | passed | not run (2) |",
		"2. two was not asked for 35 (broker away): no hammer.",
		"- **20 not before its time.** ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("Table has no %q; got\n%s", want, got)
		}
	}
	if strings.Contains(transporttest.Table([]*transporttest.Card{{Name: "none"}}), "| passed |") {
		t.Error("Table of a broker on which nothing was tried says that something has passed")
	}
}
