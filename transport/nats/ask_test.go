package nats

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAServerThatDoesNotAnswerIsAskedAgainUntilTheDeadline(t *testing.T) {
	t.Parallel()
	b := &Broker{}
	b.confirms = newConfirms(b)
	synctest.Test(t, func(t *testing.T) {
		silence := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		tries := 0
		err := b.ask(t.Context(), "s", func(ctx context.Context) error {
			if tries++; tries == 1 {
				return silence(ctx)
			}
			return nil
		})
		if err != nil || tries != 2 {
			t.Errorf("ask = %v after %d tries; want nil after 2", err, tries)
		}
		begin := time.Now()
		if err := b.ask(t.Context(), "s", silence); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != answerLimit {
			t.Errorf("ask = %v after %v; want it to give up after %v where nobody set a deadline", err, time.Since(begin), answerLimit)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin = time.Now()
		if err := b.ask(ctx, "s", silence); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Minute {
			t.Errorf("ask = %v after %v; want it to give up at the deadline after a minute", err, time.Since(begin))
		}
		wrong := errors.New("wrong")
		if err := b.ask(t.Context(), "s", func(context.Context) error { return wrong }); !errors.Is(err, wrong) {
			t.Errorf("ask = %v; want %v", err, wrong)
		}
	})
}
