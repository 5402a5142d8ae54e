package interop_test

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/extensions"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/delivery"
)

var traceparent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`)

func publishedIsRead(t *testing.T, s *scene) {
	order := Order{ID: "1001", Customer: "Grün & 7% Söhne", Cents: 4200}
	publish := map[string]func(context.Context, parley.Sender, Order, ...parley.SendOption) (parley.MessageID, error){
		OrderPlaced.Address(): OrderPlaced.Publish, Restocked.Address(): Restocked.Publish, PriceChanged.Address(): PriceChanged.Publish,
	}
	for _, c := range events() {
		heard := listen(t, s.stranger, c)
		before := time.Now()
		id, err := publish[c.address](t.Context(), s.client, order, parley.Header("tenant", "acme"))
		if err != nil {
			t.Fatalf("publishing %s: %v", c.address, err)
		}
		e := within(t, heard, "the SDK reads an event of "+c.address)
		if err := e.Validate(); err != nil {
			t.Errorf("%s: the SDK read an event that is wrong: %v", c.address, err)
		}
		if e.SpecVersion() != "1.0" || e.ID() != string(id) || e.Source() != "shop" || e.Type() != c.address || e.DataContentType() != "application/json" {
			t.Errorf("%s: the SDK read\n%v; want version 1.0, id %s, source shop, the address as type, and JSON", c.address, e, id)
		}
		if e.Time().Before(before) || e.Time().After(time.Now()) {
			t.Errorf("%s: the SDK read the time %v; want that of publishing, %v", c.address, e.Time(), before)
		}
		key := ""
		if c.partitions > 0 {
			key = order.Customer
		}
		if subject, err := s.stranger.decoded(e.Subject()); subject != key || err != nil {
			t.Errorf("%s: the SDK read the subject %q, %v; want the key %q", c.address, subject, err, key)
		}
		if !traceparent.MatchString(traceOf(e)) {
			t.Errorf("%s: the SDK read the traceparent %q; want %v", c.address, traceOf(e), traceparent)
		}
		if tenant := e.Extensions()["tenant"]; tenant != "acme" {
			t.Errorf("%s: the SDK read the extension tenant %v; want the header, acme", c.address, tenant)
		}
		var data Order
		if err := e.DataAs(&data); err != nil || data != order {
			t.Errorf("%s: the SDK read %+v, %v; want %+v", c.address, data, err, order)
		}
		if h := within(t, s.handled, "the service handles its own event"); h.ID != id {
			t.Errorf("%s: the service handled %s beside the stranger; want %s", c.address, h.ID, id)
		}
	}
}

func strangersEventsAreHandled(t *testing.T, s *scene) {
	letters := s.deadLetters(t)
	order := Order{ID: "1002", Customer: "Grün 7", Cents: 1}
	for _, c := range channels() {
		for _, mode := range modes() {
			for _, e := range []cloudevents.Event{fullEvent(t, c, mode.name, order.Customer, order), bareEvent(t, c, mode.name, order)} {
				tell(mode.set(t.Context()), t, s.stranger, c, e)
				h := s.next(t, letters, "the service handles "+e.ID())
				if h.order != order {
					t.Errorf("%s: handled %+v; want %+v", e.ID(), h.order, order)
				}
				if string(h.ID) != e.ID() || h.Correlation != h.ID || h.Address != c.address || h.Source != e.Source() || h.Key != e.Subject() || !h.Time.Equal(e.Time()) {
					t.Errorf("%s: handled the message %+v; want that of\n%v", e.ID(), h.Message, e)
				}
				for name, value := range e.Extensions() {
					text, err := types.Format(value)
					if err != nil {
						t.Fatal(err)
					}
					if name != extensions.TraceParentExtension && h.Headers[name] != text {
						t.Errorf("%s: handled with %s as header %s; want %s", e.ID(), h.Headers[name], name, text)
					}
				}
			}
		}
	}
}

func theRestGoesOn(t *testing.T, s *scene) {
	letters := s.deadLetters(t)
	const subject = "7" // of all, so that each is in the way of the next
	order := Order{ID: "1003", Customer: subject, Cents: 1}
	for _, c := range channels() {
		wanted := make(map[string]func(*delivery.DeadLetter) bool)

		junk := "nothing in particular for " + c.address
		wanted["no event"] = func(d *delivery.DeadLetter) bool {
			return string(d.Body) == junk && strings.Contains(d.Reason, "can't be read")
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := s.stranger.blurt(ctx, c, subject, []byte(junk)); err != nil {
			t.Fatalf("sending no event to %s: %v", c.address, err)
		}
		cancel()

		for _, mode := range modes() {
			unfit := fullEvent(t, c, "unfit-"+mode.name, subject, map[string]any{"id": "1003", "customer": subject, "cents": "many"})
			wanted["a payload that does not fit, "+mode.name] = func(d *delivery.DeadLetter) bool {
				return d.ID == unfit.ID() && strings.Contains(d.Reason, "cents") && d.Attributes["traceparent"] == traceOf(unfit)
			}
			tell(mode.set(t.Context()), t, s.stranger, c, unfit)
		}

		other := fullEvent(t, c, "other", subject, order)
		other.SetType("warehouse.v1.counted")
		wanted["an event of another type"] = func(d *delivery.DeadLetter) bool {
			return strings.Contains(d.Reason, other.Type()) && strings.Contains(d.Reason, c.address)
		}
		tell(binding.WithForceBinary(t.Context()), t, s.stranger, c, other)

		good := fullEvent(t, c, "good", subject, order)
		tell(binding.WithForceBinary(t.Context()), t, s.stranger, c, good)
		for len(wanted) > 0 {
			missing := strings.Join(slices.Sorted(maps.Keys(wanted)), "; ")
			letter := within(t, letters, "among the dead letters of "+c.address+": "+missing)
			before := len(wanted)
			maps.DeleteFunc(wanted, func(_ string, is func(*delivery.DeadLetter) bool) bool { return is(letter) })
			if len(wanted) != before-1 || letter.Address != c.address || !letter.Permanent {
				t.Fatalf("%s: got a dead letter of %s, permanent = %v, with the reason %q and the body %q; want a permanent one of this: %s",
					c.address, letter.Address, letter.Permanent, letter.Reason, letter.Body, missing)
			}
		}
		if h := s.next(t, letters, "the service handles "+good.ID()); string(h.ID) != good.ID() {
			t.Errorf("%s: handled %+v; want only %s", c.address, h, good.ID())
		}
	}
}

// mode is one of the two in which CloudEvents travel.
type mode struct {
	name string
	set  func(context.Context) context.Context // asks the SDK for it
}

func modes() []mode {
	return []mode{{"binary", binding.WithForceBinary}, {"structured", binding.WithForceStructured}}
}

// fullEvent has everything that an event can have.
func fullEvent(t *testing.T, c channel, name, subject string, data any) cloudevents.Event {
	t.Helper()
	e := bareEvent(t, c, name, nil)
	e.SetID(c.address + "/full/" + name)
	e.SetSubject(subject)
	e.SetTime(time.Now())
	e.SetDataSchema("https://erp.example.com/schemas/order.json")
	e.SetExtension("tenant", "acme")
	e.SetExtension("count", 7)
	e.SetExtension("gift", true)
	extensions.DistributedTracingExtension{TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}.AddTracingAttributes(&e)
	if err := e.SetData(cloudevents.ApplicationJSON, data); err != nil {
		t.Fatal(err)
	}
	return e
}

// bareEvent has only what an event must have, and data that is not said to be JSON.
func bareEvent(t *testing.T, c channel, name string, data any) cloudevents.Event {
	t.Helper()
	e := cloudevents.NewEvent()
	e.SetID(c.address + "/bare/" + name)
	e.SetSource("https://erp.example.com/orders")
	e.SetType(c.address)
	if err := e.SetData(cloudevents.ApplicationJSON, data); err != nil {
		t.Fatal(err)
	}
	e.SetDataContentType("")
	return e
}

func traceOf(e cloudevents.Event) string {
	trace, _ := extensions.GetDistributedTracingExtension(e)
	return trace.TraceParent
}
