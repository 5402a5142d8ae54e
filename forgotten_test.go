package parley_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
)

func TestAGroupThatNobodyRunsForIsWarnedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var log lockedBuffer
		owner := w.clientWith("bar", parley.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		handle := func(context.Context, order) error { return nil }
		w.serve(owner, brew.Handle(handle))                                 // its API has the event
		w.serve(w.client("renamed"), served.Subscribe("renamed", handle))() // and ends
		w.serve(w.client("alive"), served.Subscribe("alive", handle))
		publish := func() {
			t.Helper()
			if _, err := served.Publish(t.Context(), owner, order{Drink: "tea"}); err != nil {
				t.Fatal(err)
			}
		}
		warned := func() int { return strings.Count(log.String(), "a group is forgotten") }
		publish()
		time.Sleep(23 * time.Hour)
		if warned() != 0 {
			t.Errorf("after 23 hours: %s; want no warning yet", log.String())
		}
		time.Sleep(2 * time.Hour)
		if text := log.String(); warned() != 1 || !strings.Contains(text, "parley groups rm cafe.v1.served renamed") {
			t.Errorf("after 25 hours: %s; want one warning, about the group whose messages wait, and what to do", text)
		}
		time.Sleep(12 * time.Hour)
		if warned() != 1 {
			t.Errorf("after 37 hours: %s; want no other warning", log.String())
		}
		time.Sleep(24 * time.Hour)
		if warned() != 2 {
			t.Errorf("after 61 hours: %s; want a second warning", log.String())
		}
		w.serve(w.client("renamed"), served.Subscribe("renamed", handle))
		time.Sleep(48 * time.Hour)
		if warned() != 2 {
			t.Errorf("with an instance: %s; want no other warning", log.String())
		}
	})
}
