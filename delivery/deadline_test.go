package delivery

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestADeadlineEndsAsThoseOfThePackageContext(t *testing.T) {
	t.Parallel()
	var late, taken = errors.New("late"), errors.New("taken")
	type key struct{}
	for _, c := range []struct {
		name       string
		end        func(d *deadline, take context.CancelCauseFunc)
		err, cause error
	}{
		{"by its time", func(*deadline, context.CancelCauseFunc) { time.Sleep(time.Minute) }, context.DeadlineExceeded, late},
		{"by its parent", func(_ *deadline, take context.CancelCauseFunc) { take(taken) }, context.Canceled, taken},
		{"by its owner", func(d *deadline, _ context.CancelCauseFunc) { d.end() }, context.Canceled, context.Canceled},
		{"by its owner, and then its time is over and its parent ends", func(d *deadline, take context.CancelCauseFunc) {
			d.end()
			time.Sleep(2 * time.Minute)
			take(taken)
		}, context.Canceled, context.Canceled},
	} {
		for _, asked := range []bool{false, true} {
			t.Run(c.name+map[bool]string{true: ", somebody waits", false: ", nobody has asked"}[asked], func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					parent, take := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
					defer take(nil)
					d := &deadline{Context: parent, at: time.Now().Add(time.Minute), cause: late}
					defer d.end()
					var child context.Context
					if asked {
						var cancel context.CancelFunc
						child, cancel = context.WithCancel(d)
						defer cancel()
						if err := d.Err(); err != nil {
							t.Errorf("before its end: Err = %v; want nil", err)
						}
					}
					c.end(d, take)
					synctest.Wait()
					if cause, err := context.Cause(d), d.Err(); !errors.Is(err, c.err) || !errors.Is(cause, c.cause) || !closed(d.Done()) {
						t.Errorf("Cause = %v, Err = %v, done = %v; want %v, %v, true", cause, err, closed(d.Done()), c.cause, c.err)
					}
					if child != nil && !errors.Is(context.Cause(child), c.cause) {
						t.Errorf("a child's Cause = %v; want %v", context.Cause(child), c.cause)
					}
					if at, ok := d.Deadline(); !ok || !at.Equal(d.at) || d.Value(key{}) != "value" {
						t.Errorf("Deadline = %v, %v, Value = %v; want %v, true, value", at, ok, d.Value(key{}), d.at)
					}
				})
			})
		}
	}
}
