package fault_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/fault"
)

func parse(t testing.TB, text string) []fault.Rule {
	t.Helper()
	rules, err := fault.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return rules
}

func TestARuleMeansWhatItSays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]fault.Rule{
		`fail call cards.v1.* with unavailable "card processor 503"`: {Verb: fault.Fail, Target: fault.Call, Pattern: "cards.v1.*", Code: transport.Unavailable, Text: "card processor 503"},
		`fail 30% call prices.v1.quote at storefront for 20s`:        {Verb: fault.Fail, Share: 30, Target: fault.Call, Pattern: "prices.v1.quote", At: "storefront", For: 20 * time.Second},
		`delay 200ms 50% call seed 7`:                                {Verb: fault.Delay, Delay: 200 * time.Millisecond, Share: 50, Target: fault.Call, Seed: 7},
		`lose 5% send`:                                               {Verb: fault.Lose, Share: 5, Target: fault.Send},
		`double 100% send *`:                                         {Verb: fault.Double, Target: fault.Send},
		`cut broker at billing`:                                      {Verb: fault.Cut, Target: fault.Broker, At: "billing"},
		"  reorder\tsend orders.v1.order-placed  ":                   {Verb: fault.Reorder, Target: fault.Send, Pattern: "orders.v1.order-placed"},
		`fail handle orders.v1.order-placed for 1m at mail`:          {Verb: fault.Fail, Target: fault.Handle, Pattern: "orders.v1.order-placed", At: "mail", For: time.Minute},
	} {
		got := parse(t, text)
		if len(got) != 1 || got[0] != want {
			t.Errorf("Parse(%q) = %+v; want %+v", text, got, want)
		}
		if again := parse(t, got[0].String()); again[0] != want {
			t.Errorf("Parse(String()) of %q = %+v; want %+v", text, again, want)
		}
	}
	if got := parse(t, "# nothing\n\n cut call\n  # nothing\nlose answer\n"); len(got) != 2 {
		t.Errorf("two rules among comments and empty lines: got %v", got)
	}
}

func TestAWrongRuleSaysWhereAndWhatIsWanted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"break call":                        `column 1: got "break", want fail, delay, lose, double, reorder or cut`,
		"fail":                              `column 5: got the end of the line, want what to fail: call, answer, send or handle`,
		"fail calls":                        `column 6: got "calls", want what to fail: call, answer, send or handle`,
		"reorder call":                      `column 9: got "call", want what to reorder: send`,
		"fail 0% call":                      `column 6: got "0%", want a share of more than 0%, at most 100%`,
		"fail 101% call":                    `column 6: got "101%"`,
		"fail NaN% call":                    `column 6: got "NaN%"`,
		"cut 10% call":                      `column 5: got "10%", want call, send, receive or broker: cut has no share`,
		"delay call":                        `column 7: got "call", want a duration of more than 0, such as 200ms`,
		"delay -1s call":                    `column 7: got "-1s", want a duration`,
		"fail call Cards":                   `column 11: got "Cards", want an address`,
		"fail call a.*.b":                   `column 11: got "a.*.b", want an address`,
		"fail call with sorry":              `column 16: got "sorry", want a code: canceled,`,
		"fail call with":                    `column 15: got the end of the line, want a code`,
		`fail call with unavailable "x`:     `column 28: got "\"x", want a text in double quotes`,
		"fail send with unavailable":        `column 11: got "with", want no "with": it is for fail call, answer and handle`,
		"fail call at Mail":                 `column 14: got "Mail", want a service`,
		"fail call for ever":                `column 15: got "ever", want a duration`,
		"fail call seed x":                  `column 16: got "x", want a number`,
		"fail call at a at b":               `column 16: got "at", want at, with, for or seed, each at most once`,
		"fail call a.b c.d":                 `column 15: got "c.d", want at, with, for or seed`,
		"cut call\n# fine\ndouble   handle": `line 3, column 10: got "handle", want what to double: call or send`,
	} {
		if rules, err := fault.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v; want an error with: %s", text, rules, err, want)
		}
	}
	if _, err := fault.Parse("x\ncut call\ny"); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two wrong lines: %v; want both in one error", err)
	}
}

func TestARuleMadeByHandIsChecked(t *testing.T) {
	t.Parallel()
	for _, r := range []fault.Rule{
		{}, {Verb: fault.Cut}, {Verb: fault.Cut, Target: fault.Handle}, {Verb: fault.Delay, Target: fault.Call},
		{Verb: fault.Fail, Target: fault.Call, Delay: 1}, {Verb: fault.Fail, Target: fault.Call, Share: -1},
		{Verb: fault.Cut, Target: fault.Call, Share: 5}, {Verb: fault.Fail, Target: fault.Call, Pattern: "A"},
		{Verb: fault.Fail, Target: fault.Call, Pattern: "at"}, {Verb: fault.Fail, Target: fault.Call, At: "a b"},
		{Verb: fault.Fail, Target: fault.Send, Code: transport.Internal}, {Verb: fault.Fail, Target: fault.Call, Code: "x"},
		{Verb: fault.Fail, Target: fault.Call, Text: "x"}, {Verb: fault.Fail, Target: fault.Call, For: -1},
	} {
		if err := r.Validate(); err == nil {
			t.Errorf("%+v is valid; want an error", r)
		}
		if err := fault.New().Set([]fault.Rule{r}); err == nil {
			t.Errorf("%+v was set; want an error", r)
		}
	}
}

func TestTheTextOfARuleIsItsLine(t *testing.T) {
	t.Parallel()
	var r fault.Rule
	if err := r.UnmarshalText([]byte("cut broker at billing")); err != nil {
		t.Fatal(err)
	}
	if text, err := r.MarshalText(); err != nil || string(text) != "cut broker at billing" {
		t.Errorf("MarshalText = %q, %v; want the line", text, err)
	}
	for _, bad := range []string{"", "cut call\ncut send", "cut"} {
		if r.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("UnmarshalText(%q) succeeded; want an error", bad)
		}
	}
}

// FuzzParse: what parses is valid, and its String parses to the same rules again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`fail 30% call cards.v1.* with unavailable "card \"processor\" 503" at a for 20s seed 3`,
		"delay 1.5s 0.1% answer", "cut broker at billing", "lose send\n# x\nreorder send *", "fail call at", `fail handle with`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := fault.Parse(text)
		if err != nil {
			return
		}
		var lines []string
		for _, r := range rules {
			if err := r.Validate(); err != nil {
				t.Errorf("parsed, but invalid: %v", err)
			}
			lines = append(lines, r.String())
		}
		again, err := fault.Parse(strings.Join(lines, "\n"))
		if err != nil || !slices.Equal(again, rules) {
			t.Errorf("Parse(String()) = %+v, %v; want %+v", again, err, rules)
		}
	})
}
