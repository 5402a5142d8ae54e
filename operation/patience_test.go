package operation_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/store/mem"
)

// deaf is a journal that accepts no operation.
type deaf struct{ operation.Journal }

func (d deaf) Commit(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
	for _, c := range batch {
		if c.Accept != nil {
			return nil, errors.New("no room")
		}
	}
	return d.Journal.Commit(ctx, lease, batch)
}

// An operation that is being accepted is known to the engine before anything can answer for it. Who asks for it waits for
// no longer than his context says, and when the engine stops he is told at once.
func TestAQuestionAboutWhatIsBeingAcceptedEndsWithItsContextOrWithTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		code := operation.Code{Address: "a.v1.b", Version: 1, Run: func(context.Context, []byte) ([]byte, error) { return nil, nil }}
		e, err := operation.New([]operation.Code{code}, operation.Options{Worker: "w", Service: "w"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ready, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- e.Run(ctx, func(ctx context.Context) (operation.Journal, error) {
				j, err := mem.New().Open(ctx)
				return deaf{j}, err
			}, func(operation.Lease) { close(ready) })
		}()
		<-ready
		within := func(d time.Duration) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			t.Cleanup(cancel)
			return ctx
		}
		if _, _, err := e.Accept(within(100*time.Millisecond), operation.Request{ID: "1", Address: "a.v1.b", Input: []byte("{}")}); err == nil {
			t.Fatal("Accept = nil, want an error: the journal takes nothing")
		}
		began := time.Now()
		if _, err := e.Wait(within(200*time.Millisecond), "a.v1.b", "1", -1); err == nil || time.Since(began) > 200*time.Millisecond {
			t.Errorf("Wait = %v after %v, want an error after 200ms", err, time.Since(began))
		}
		asked := make(chan error, 1)
		go func() { _, err := e.Wait(within(time.Hour), "a.v1.b", "1", -1); asked <- err }()
		synctest.Wait()
		began = time.Now()
		stop()
		if err := <-asked; err == nil || time.Since(began) > time.Second {
			t.Errorf("Wait = %v, %v after the stop, want an error at once", err, time.Since(began))
		}
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}
