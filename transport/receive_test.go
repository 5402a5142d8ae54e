package transport_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestCreditTellsOfEveryChange(t *testing.T) {
	t.Parallel()
	var c transport.Credit
	n, changed := c.Now()
	if n != 0 {
		t.Errorf("zero Credit = %d, want 0", n)
	}
	for _, set := range []struct{ to, want int }{{5, 5}, {0, 0}, {-3, 0}} {
		select {
		case <-changed:
			t.Error("changed is closed before Set, want it open")
		default:
		}
		c.Set(set.to)
		select {
		case <-changed:
		default:
			t.Errorf("changed is open after Set(%d), want it closed", set.to)
		}
		if n, changed = c.Now(); n != set.want {
			t.Errorf("credit = %d after Set(%d), want %d", n, set.to, set.want)
		}
	}
	if n, _ := transport.NewCredit(256).Now(); n != 256 {
		t.Errorf("NewCredit(256) = %d, want 256", n)
	}
}

func TestCreditIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	c := transport.NewCredit(0)
	var setters sync.WaitGroup
	for range 4 {
		setters.Go(func() {
			for i := range 1000 {
				c.Set(i)
			}
			c.Set(5000)
		})
	}
	for {
		n, changed := c.Now()
		if n == 5000 {
			break
		}
		<-changed // every reader hears of the last Set
	}
	setters.Wait()
	if n, _ := c.Now(); n != 5000 {
		t.Errorf("credit = %d at the end, want 5000", n)
	}
}

func TestThePositionNowIsTheZeroOne(t *testing.T) {
	t.Parallel()
	if !(transport.Position{}).IsZero() {
		t.Error("IsZero of the zero Position = false, want true")
	}
	for _, p := range []transport.Position{{Start: true}, {Time: time.Unix(1, 0)}, {At: "1"}} {
		if p.IsZero() {
			t.Errorf("IsZero of %+v = true, want false", p)
		}
	}
}

func TestARouteSaysAllThatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	queue := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	topic := transport.Channel{Address: "a.b", Pattern: transport.Topic}
	stream := transport.Channel{Address: "a.b", Pattern: transport.Stream}
	for _, r := range []transport.Route{
		{Channel: queue}, {Channel: topic, Group: "g"}, {Channel: stream}, {Channel: stream, Group: "g", Until: transport.Position{At: "7"}},
	} {
		if err := r.Validate(); err != nil {
			t.Errorf("Validate of %+v = %v; want nil", r, err)
		}
	}
	for _, c := range []struct {
		route transport.Route
		want  []string
	}{
		{transport.Route{Channel: queue, Group: "g"}, []string{`group "g"`, "without a name"}},
		{transport.Route{Channel: topic, Until: transport.Position{Start: true}}, []string{"name one", "streams only"}},
		{transport.Route{Channel: stream, Group: "No Group"}, []string{`"No Group"`}},
		{transport.Route{Channel: transport.Channel{Address: "No", Pattern: transport.Topic}}, []string{`"No"`, "name one"}},
	} {
		err := c.route.Validate()
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Validate of %+v = %v; want it to say %q", c.route, err, want)
			}
		}
	}
	from := transport.Position{At: "7"}
	for c, want := range map[transport.Channel]transport.Position{queue: {Start: true}, topic: {}, stream: from} {
		if got := (transport.Route{Channel: c, From: from}).Origin(); got != want {
			t.Errorf("Origin on a %v = %+v; want %+v", c.Pattern, got, want)
		}
	}
}

func TestAPrefixIsAShortWord(t *testing.T) {
	t.Parallel()
	for prefix, good := range map[string]bool{
		"parley": true, "p-1": true, strings.Repeat("p", 32): true, "": false, "No": false, "a.b": false, strings.Repeat("p", 33): false,
	} {
		if err := transport.CheckPrefix(prefix); (err == nil) != good {
			t.Errorf("CheckPrefix(%q) = %v; want good %v", prefix, err, good)
		}
	}
}
