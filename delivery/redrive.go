package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// Redrive sends the message of a dead letter again, to the receiver that gave it up and to no other, under the next
// redrive Copy; its attempts are counted anew and it no longer expires, because somebody decided that it is wanted.
// Then it writes a [Redriven] record and tells rec; it returns once that is confirmed.
//
// It may be repeated after an error: the same dead letter becomes the same copy, which a broker keeps once within its
// window. A dead letter that has a Redriven record already should not be redriven: outside that window it is handled
// once more. by is who asked, for the trail.
func Redrive(ctx context.Context, b transport.Broker, rec ledger.Recorder, d *DeadLetter, by string) error {
	fail := func(err error) error { return fmt.Errorf("redriving message %s to %s: %w", d.ID, d.Receiver, err) }
	e, err := d.Original()
	if err != nil {
		return fail(err)
	}
	channel, err := d.Channel()
	if err != nil {
		return fail(err)
	}
	e.Copy, e.Group = redriveCopy(d.Copy), d.Group
	e.Attempt, e.NotBefore, e.Lifetime = 0, time.Time{}, 0
	r := &Redriven{Version: 1, ID: d.ID, Receiver: d.Receiver, Copy: d.Copy, As: e.Copy, By: by, At: time.Now().UTC()}
	if err := Declare(ctx, b, []transport.Channel{channel, DeadLetters()}); err != nil {
		return fail(err)
	}
	if err := Send(ctx, b, []*transport.Envelope{e})[0].Err; err != nil {
		return fail(err)
	}
	if err := Send(ctx, b, []*transport.Envelope{r.envelope()})[0].Err; err != nil {
		return fail(fmt.Errorf("it is sent as copy %s, but the dead letter is still open (redrive it again): %w", e.Copy, err))
	}
	t := ledger.Of(ledger.Redriven, d.Style, e)
	t.Group, t.By, t.Attempt = d.Receiver, by, 0
	confirmed := make(chan struct{})
	rec.Record(t, func() { close(confirmed) })
	select {
	case <-confirmed:
		return nil
	case <-ctx.Done():
		return fail(fmt.Errorf("it is done, but the ledger has not confirmed it: %w", context.Cause(ctx)))
	}
}
