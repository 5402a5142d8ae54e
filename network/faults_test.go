package network

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/fault"
	"github.com/parley-io/parley/transport/mem"
)

func TestFaultsReachEveryProcessAndEndThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a := open(t, "mem://", WithProcess(fabric.Process("a")), WithFaults())
		b := open(t, "mem://", WithProcess(fabric.Process("b")), WithFaults())
		set(t, a, "fail send shop.v1.order-placed", "delay 1s call")
		synctest.Wait()
		wantSend(t, "set by another process", b, transport.ErrNotSent)
		wantFaults(t, b, "fail send shop.v1.order-placed", "delay 1s call")
		late := open(t, "mem://", WithProcess(fabric.Process("late")), WithFaults())
		synctest.Wait()
		wantSend(t, "set before it joined", late, transport.ErrNotSent)
		set(t, b)
		synctest.Wait()
		wantSend(t, "ended by another process", a, nil)
		wantFaults(t, late)
	})
}

func TestAFaultEndsWhenItsTimeIsOverAlsoWhereItWasLearnedOfLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a := open(t, "mem://", WithProcess(fabric.Process("a")), WithFaults())
		set(t, a, "fail send for 20s", "delay 1ms send for 40s")
		time.Sleep(15 * time.Second)
		set(t, a, "fail send for 20s", "delay 1ms send for 40s", "delay 1ms call") // the first ones go on
		late := open(t, "mem://", WithProcess(fabric.Process("late")), WithFaults())
		time.Sleep(4 * time.Second)
		wantSend(t, "19 s after it was set", late, transport.ErrNotSent)
		time.Sleep(2 * time.Second)
		for _, n := range []*parley.Network{a, late} {
			wantSend(t, "21 s after it was set", n, nil)
			wantFaults(t, n, "delay 1ms send for 40s", "delay 1ms call")
		}
		time.Sleep(20 * time.Second)
		wantFaults(t, late, "delay 1ms call")
		if got := late.Faults.(*faults).Rules(); len(got) != 1 {
			t.Errorf("the injector has %v 41 s later, want one rule", got)
		}
	})
}

func TestFaultsDoNotDisturbWhatParleyItselfSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a := open(t, "mem://", WithProcess(fabric.Process("a")), WithFaults())
		set(t, a, "cut broker", "fail send")
		announce(t, a, parley.Instance{Service: "stock", ID: "s1"})
		set(t, a)
		wantSend(t, "healed", a, nil)
	})
}

func TestANetworkThatIsNotForDevelopmentHasNoFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t, "mem://")
		if err := SetFaults(t.Context(), n, nil); !errors.Is(err, ErrNoFaults) {
			t.Errorf("SetFaults = %v, want ErrNoFaults", err)
		}
		if _, err := Faults(n); !errors.Is(err, ErrNoFaults) {
			t.Errorf("Faults = %v, want ErrNoFaults", err)
		}
	})
}

func set(t *testing.T, n *parley.Network, lines ...string) {
	t.Helper()
	var rules []fault.Rule
	for _, line := range lines {
		r, err := fault.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r...)
	}
	if err := SetFaults(t.Context(), n, rules); err != nil {
		t.Fatal(err)
	}
}

func wantFaults(t *testing.T, n *parley.Network, want ...string) {
	t.Helper()
	got, err := Faults(n)
	if err != nil {
		t.Fatal(err)
	}
	ok := len(got) == len(want)
	for i := range got {
		ok = ok && got[i].Rule.String() == want[i]
	}
	if !ok {
		t.Errorf("faults = %v, want %q", got, want)
	}
}

func wantSend(t *testing.T, when string, n *parley.Network, want error) {
	t.Helper()
	c := transport.Channel{Address: "shop.v1.order-placed", Pattern: transport.Topic}
	if err := n.Messages.Declare(t.Context(), []transport.Channel{c}); err != nil {
		t.Fatal(err)
	}
	broker := n.Messages
	if n.Faults != nil {
		broker = n.Faults.Broker(broker, "shop")
	}
	e := &transport.Envelope{ID: "m1", Address: c.Address}
	if got := broker.Send(t.Context(), []*transport.Envelope{e})[0].Err; !errors.Is(got, want) {
		t.Errorf("Send, %s, = %v, want %v", when, got, want)
	}
}
