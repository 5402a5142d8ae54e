package mem_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestAQueueKeepsMessagesForAReceiverThatComesLater(t *testing.T) {
	bubble(t, func(r *rig) {
		r.send(jobs.Address, "a", "b", "c")
		time.Sleep(30 * 24 * time.Hour)
		in := r.handle(r.client, transport.Route{Channel: jobs})
		in.want("a", "b", "c")
		if err := in.end(); err != nil {
			r.Errorf("Receive = %v, want nil after its context is done", err)
		}
	})
}

func TestATopicGivesEachRegisteredGroupACopyAndCountsThem(t *testing.T) {
	bubble(t, func(r *rig) {
		nobody := r.send(placed.Address, "before")[0].Groups
		mail := r.handle(r.client, transport.Route{Channel: placed, Group: "mail"})
		stock := r.handle(r.client, transport.Route{Channel: placed, Group: "stock"})
		_ = stock.end() // a group is kept although nobody receives for it
		two := r.send(placed.Address, "a")[0].Groups
		if nobody != 0 || two != 2 {
			r.Errorf("Receipt.Groups = %d, then %d; want 0, then 2", nobody, two)
		}
		mail.want("a")
		r.handle(r.client, transport.Route{Channel: placed, Group: "stock"}).want("a")
	})
}

func TestAMessageForOneGroupReachesThatGroupAlone(t *testing.T) {
	bubble(t, func(r *rig) {
		for _, c := range []transport.Channel{placed, history} {
			mail := r.handle(r.client, transport.Route{Channel: c, Group: "mail"})
			stock := r.handle(r.client, transport.Route{Channel: c, Group: "stock"})
			receipt := r.sendAll(&transport.Envelope{ID: "a", Address: c.Address, Copy: "a4", Group: "mail"})[0]
			if receipt.Groups != 1 {
				r.Errorf("%v: Receipt.Groups = %d, want 1", c.Pattern, receipt.Groups)
			}
			r.sendAll(&transport.Envelope{ID: "a", Address: c.Address, Copy: "a4", Group: "stock"}) // its own, not a repetition
			mail.want("a")
			stock.want("a")
			if n := r.sendAll(&transport.Envelope{ID: "b", Address: c.Address, Group: "gone"})[0].Groups; n != 0 {
				r.Errorf("%v: Receipt.Groups = %d for a group that does not exist, want 0", c.Pattern, n)
			}
			mail.want()
			stock.want()
		}
		r.handle(r.client, transport.Route{Channel: history, From: transport.Position{Start: true}}).want()
		r.sendAll(&transport.Envelope{ID: "q", Address: jobs.Address, Group: "any"})
		r.handle(r.client, transport.Route{Channel: jobs}).want("q") // a queue has one group
	})
}

func TestDeclareChangesNothingWhenOneChannelIsWrong(t *testing.T) {
	bubble(t, func(r *rig) {
		b := r.client.Broker()
		r.declare(jobs, jobs) // again is fine
		wrong := jobs
		wrong.Pattern, wrong.Partitions = transport.Topic, 4
		fresh := transport.Channel{Address: "fresh", Pattern: transport.Queue}
		err := b.Declare(r.Context(), []transport.Channel{fresh, wrong, {Address: "BAD", Pattern: transport.Queue}})
		for _, want := range []string{"queue with 0 partitions", "topic with 4 partitions", jobs.Address, "BAD"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				r.Errorf("Declare = %v, want an error that says %q", err, want)
			}
		}
		if _, _, err := b.Backlog(r.Context(), fresh, ""); !errors.Is(err, transport.ErrNotFound) {
			r.Errorf("Backlog(fresh) = %v, want not found: Declare failed", err)
		}
		if err := r.handle(r.client, transport.Route{Channel: wrong, Group: "g"}).result(); err == nil || errors.Is(err, errRuns) {
			r.Errorf("Receive with another form = %v, want an error", err)
		}
	})
}

func TestReceiveRefusesWhatCannotWork(t *testing.T) {
	bubble(t, func(r *rig) {
		for name, route := range map[string]transport.Route{
			"a group on a queue":          {Channel: jobs, Group: "g"},
			"a topic without group":       {Channel: placed},
			"a bad group":                 {Channel: placed, Group: "a b"},
			"until on a queue":            {Channel: jobs, Until: transport.Position{Start: true}},
			"a position of another world": {Channel: history, From: transport.Position{At: "x"}},
			"an undeclared channel":       {Channel: transport.Channel{Address: "no.such", Pattern: transport.Queue}},
		} {
			if err := r.handle(r.client, route).result(); err == nil || errors.Is(err, errRuns) {
				r.Errorf("%s: Receive = %v, want an error", name, err)
			}
		}
	})
}

func TestAReturnedMessageComesAgainBeforeLaterOnes(t *testing.T) {
	bubble(t, func(r *rig) {
		credit := transport.NewCredit(3)
		in := r.hold(r.client, transport.Route{Channel: jobs, Credit: credit})
		r.send(jobs.Address, "a", "b", "c", "d")
		got := in.deliveries()
		credit.Set(0)
		got[2].Settle(transport.Return)
		got[0].Settle(transport.Return)
		got[1].Settle(transport.Done)
		got[1].Settle(transport.Return) // too late
		in.want()
		credit.Set(3)
		in.want("a", "c", "d")
	})
}

func TestAReturnedMessageGoesToWhoeverHasCredit(t *testing.T) {
	bubble(t, func(r *rig) {
		credit := transport.NewCredit(1)
		first := r.hold(r.client, transport.Route{Channel: jobs, Credit: credit})
		r.send(jobs.Address, "a")
		d := first.deliveries()[0]
		second := r.hold(r.client, transport.Route{Channel: jobs})
		credit.Set(0)
		d.Settle(transport.Return)
		first.want()
		second.want("a")
	})
}

func TestCreditBoundsWhatIsUnsettledAlsoWhenItChanges(t *testing.T) {
	bubble(t, func(r *rig) {
		var credit transport.Credit
		in := r.hold(r.client, transport.Route{Channel: jobs, Credit: &credit})
		r.send(jobs.Address, ids("m", 10)...)
		in.want()
		credit.Set(4)
		first := in.deliveries()
		if len(first) != 4 {
			r.Fatalf("%d deliveries with credit 4, want 4", len(first))
		}
		credit.Set(1)
		done(first[:3])
		in.want()
		done(first[3:])
		in.want("m004")
		credit.Set(100)
		in.want("m005", "m006", "m007", "m008", "m009")
	})
}

func TestReceiveReturnsOnceAllIsSettled(t *testing.T) {
	bubble(t, func(r *rig) {
		in := r.hold(r.client, transport.Route{Channel: jobs})
		r.send(jobs.Address, "a", "b")
		got := in.deliveries()
		if err := in.end(); err != errRuns {
			r.Errorf("Receive = %v with unsettled deliveries, want it to wait", err)
		}
		r.send(jobs.Address, "c")
		done(got[:1])
		got[1].Settle(transport.Return)
		if err := in.result(); err != nil {
			r.Errorf("Receive = %v, want nil", err)
		}
		in.want()
		r.handle(r.client, transport.Route{Channel: jobs}).want("b", "c")
	})
}

func TestCompetingReceiversShareAQueue(t *testing.T) {
	bubble(t, func(r *rig) {
		var all []*inbox
		for range 4 {
			all = append(all, r.hold(r.client, transport.Route{Channel: jobs, Credit: transport.NewCredit(25)}))
		}
		want := ids("m", 100)
		r.send(jobs.Address, want...)
		var got []string
		for i, in := range all {
			mine := in.ids()
			if len(mine) != 25 {
				r.Errorf("receiver %d has %d messages, want its credit of 25", i, len(mine))
			}
			got = append(got, mine...)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			r.Errorf("received %v, want each of 100 once", got)
		}
	})
}

func TestCloseEndsReceivesAndGivesBackWhatIsNotSettledInTime(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.fabric.Process("p")
		orderly := r.handle(p, transport.Route{Channel: placed, Group: "g"})
		in := r.hold(p, transport.Route{Channel: jobs})
		r.send(jobs.Address, "a")
		d := in.deliveries()[0]
		ctx, cancel := context.WithTimeout(r.Context(), minute)
		defer cancel()
		if err := p.Broker().Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			r.Errorf("Close = %v with an unsettled delivery, want deadline exceeded", err)
		}
		for _, in := range []*inbox{orderly, in} {
			if err := in.result(); !errors.Is(err, transport.ErrClosed) {
				r.Errorf("Receive = %v, want an error that wraps closed", err)
			}
		}
		if err := p.Broker().Close(r.Context()); err != nil {
			r.Errorf("second Close = %v, want nil", err)
		}
		d.Settle(transport.Done)
		r.handle(r.client, transport.Route{Channel: jobs}).want("a")
	})
}

func TestWhileTheBrokerIsAwayNothingIsLost(t *testing.T) {
	bubble(t, func(r *rig) {
		in := r.hold(r.client, transport.Route{Channel: jobs})
		r.send(jobs.Address, "a", "b")
		got := in.deliveries()
		r.fabric.Stop()
		late := r.hold(r.client, transport.Route{Channel: placed, Group: "g", Ready: func() { r.Log("ready") }})
		err := r.client.Broker().Send(r.Context(), []*transport.Envelope{{ID: "c", Address: jobs.Address}})[0].Err
		if !errors.Is(err, transport.ErrNotSent) {
			r.Errorf("Send = %v while the broker is away, want not sent", err)
		}
		got[0].Settle(transport.Done)
		got[1].Settle(transport.Return)
		in.want()
		time.Sleep(time.Hour)
		r.fabric.Start()
		in.want("b")
		if n := r.send(placed.Address, "x")[0].Groups; n != 1 {
			r.Errorf("Receipt.Groups = %d, want 1: the Receive that waited has joined", n)
		}
		late.want("x")
	})
}

func TestRetentionOfAQueueDropsWhatNobodyHandledAndRefusesWhatIsTooMuch(t *testing.T) {
	bubble(t, func(r *rig) {
		week := transport.Channel{Address: "week", Pattern: transport.Queue, Retain: time.Hour, RetainBytes: 10}
		r.declare(week)
		send := func(id string) error {
			return r.client.Broker().Send(r.Context(), []*transport.Envelope{{ID: id, Address: "week", Body: []byte("1234")}})[0].Err
		}
		if a, b, c := send("a"), send("b"), send("c"); a != nil || b != nil || !errors.Is(c, transport.ErrNotSent) {
			r.Errorf("Send = %v, %v, %v; want room for two and not sent", a, b, c)
		}
		time.Sleep(time.Hour + 1)
		in := r.handle(r.client, transport.Route{Channel: week})
		in.want()
		if err := send("d"); err != nil {
			r.Errorf("Send = %v, want room again", err)
		}
		in.want("d")
	})
}
