package fault_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/fault"
)

func set(t testing.TB, inj *fault.Injector, rules string) {
	t.Helper()
	if err := inj.Set(parse(t, rules)); err != nil {
		t.Fatalf("Set(%q): %v", rules, err)
	}
}

// struck is which of n handlers failed.
func struck(inj *fault.Injector, n int) (failed []bool) {
	for range n {
		failed = append(failed, inj.HandleError("mail", "orders.v1.order-placed") != nil)
	}
	return failed
}

func TestTheSameSeedDecidesAlike(t *testing.T) {
	t.Parallel()
	run := func(rule string) []bool {
		inj := fault.New()
		set(t, inj, rule)
		return struck(inj, 1000)
	}
	one := run("fail 30% handle seed 1")
	if !slices.Equal(one, run("fail 30% handle seed 1")) {
		t.Error("the same seed decided differently")
	}
	if slices.Equal(one, run("fail 30% handle seed 2")) {
		t.Error("another seed decided alike")
	}
	hits := 0
	for _, hit := range one {
		if hit {
			hits++
		}
	}
	if hits < 250 || hits > 350 {
		t.Errorf("30%% of 1000 struck %d; want about 300", hits)
	}
}

func TestRulesSelectByServiceAndAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, service, address string
		want                   bool
	}{
		{"fail handle", "mail", "a.b", true},
		{"fail handle *", "mail", "a.b", true},
		{"fail handle a.b", "mail", "a.b", true},
		{"fail handle a.b", "mail", "a.bc", false},
		{"fail handle a.*", "mail", "a.b.c", true},
		{"fail handle a.*", "mail", "a", false},
		{"fail handle a.*", "mail", "ab.c", false},
		{"fail handle at mail", "mail", "a", true},
		{"fail handle at mail", "fraud", "a", false},
		{"fail send", "mail", "a", false},
	} {
		inj := fault.New()
		set(t, inj, c.rule)
		if got := inj.HandleError(c.service, c.address) != nil; got != c.want {
			t.Errorf("%q about %s at %s: %v; want %v", c.rule, c.address, c.service, got, c.want)
		}
	}
}

func TestAnErrorIsTheOneThatTheRuleNames(t *testing.T) {
	t.Parallel()
	inj := fault.New()
	set(t, inj, `fail handle a with not-found "no such card"`+"\nfail handle")
	e, ok := errors.AsType[*transport.Error](inj.HandleError("mail", "a"))
	if !ok || e.Code != transport.NotFound || e.Message != "no such card" || e.NotSent {
		t.Errorf("HandleError = %+v; want not-found: no such card", e)
	}
	e, ok = errors.AsType[*transport.Error](inj.HandleError("mail", "b"))
	if !ok || e.Code != transport.Unavailable || e.Message != "fault "+inj.Rules()[1].ID {
		t.Errorf("HandleError = %+v; want unavailable, naming the rule", e)
	}
}

func TestARuleEndsWithItsTimeAndIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New()
		set(t, inj, "fail handle for 20s")
		began := time.Now()
		struck(inj, 3)
		time.Sleep(19 * time.Second)
		// Another rule is added: the first keeps what it has.
		set(t, inj, "cut call\nfail handle for 20s\nfail handle for 20s")
		if got := struck(inj, 1); !got[0] {
			t.Error("after 19 s the rule is over; want it to strike")
		}
		time.Sleep(time.Second)
		if got := struck(inj, 1); got[0] {
			t.Error("after 20 s the rule strikes; want it over")
		}
		rules := inj.Rules()
		if len(rules) != 2 || rules[1].Seen != 4 || rules[1].Struck != 4 || !rules[1].Until.Equal(began.Add(20*time.Second)) {
			t.Errorf("Rules() = %+v; want the second of two to have struck 4 of 4", rules)
		}
		if rules[0].ID == rules[1].ID || rules[1].ID != parse(t, "fail handle for 20s")[0].ID() {
			t.Errorf("ids %s and %s; want different ones, that follow from the rule", rules[0].ID, rules[1].ID)
		}
		set(t, inj, "")
		set(t, inj, "fail handle for 20s")
		if got := struck(inj, 1); !got[0] {
			t.Error("the rule was removed and set again, and is still over; want it to begin anew")
		}
	})
}
