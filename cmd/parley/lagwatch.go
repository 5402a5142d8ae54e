package main

import (
	"context"
	"fmt"
	"reflect"
	"time"
)

// minWatch is how often --watch may look at the most.
const minWatch = 100 * time.Millisecond

// watchLag shows what waits again and again until ctx is done: on a terminal in place, else the rows that have changed.
func (a *app) watchLag(ctx context.Context, s *session, named []string, every time.Duration) error {
	v := lagViewer{a: a, last: make(map[receiver]lagRow), told: make(map[string]bool)}
	for {
		rows, missing, err := lagRows(ctx, s, named)
		switch {
		case ctx.Err() != nil:
			return tailEnded(ctx)
		case err != nil:
			return err
		}
		if err := v.show(rows, missing); err != nil {
			return err
		}
		rest(ctx, every)
	}
}

// lagViewer shows rows again and again.
type lagViewer struct {
	a      *app
	screen screen
	last   map[receiver]lagRow
	told   map[string]bool // what is missing, once
}

func (v *lagViewer) show(rows []lagRow, missing []string) error {
	var changed []lagRow
	for i := range rows {
		r := &rows[i]
		before, known := v.last[r.receiver]
		r.PerSec = perSecond(before, *r)
		if !known || !same(before, *r) {
			changed = append(changed, *r)
		}
		v.last[r.receiver] = *r
	}
	if v.a.table() {
		if width, height := terminalSize(v.a.out); height > len(rows)+len(missing)+1 { // what has scrolled away cannot be painted over
			t := newTable()
			drawLag(t, rows, time.Now(), true)
			return v.screen.repaint(v.a.out, plain(append(t.lines(), missing...)), width)
		}
	}
	for _, m := range missing {
		if !v.told[m] {
			v.told[m] = true
			v.a.note("%s", m)
		}
	}
	v.screen = screen{}
	if v.a.table() {
		return v.print(changed)
	}
	for _, r := range changed {
		if err := v.a.printJSON(r); err != nil {
			return err
		}
	}
	return nil
}

// print prints the rows that have changed, a line each.
func (v *lagViewer) print(rows []lagRow) error {
	now := time.Now()
	t := newTable()
	for _, r := range rows {
		age, rate := "", ""
		if r.Waiting == nil || *r.Waiting > 0 {
			age = "oldest " + r.age(now)
		}
		if r.PerSec != nil {
			rate = r.rate()
		}
		t.row(now.Format(time.TimeOnly), r.Address, r.receiver.name(), fmt.Sprintf("%d up", r.Up), r.count()+" waiting",
			fmt.Sprintf("%d in hand", r.InHand), age, rate, r.note())
	}
	_, err := fmt.Fprint(v.a.out, t)
	return err
}

// perSecond is how fast what waits has grown between two looks; nil = it cannot be told.
func perSecond(before, now lagRow) *float64 {
	passed := now.At.Sub(before.At).Seconds()
	if before.Waiting == nil || now.Waiting == nil || passed <= 0 {
		return nil
	}
	return new(float64(*now.Waiting-*before.Waiting) / passed)
}

// same reports whether two rows say the same of a receiver, but for when and how fast.
func same(a, b lagRow) bool {
	a.At, a.PerSec = b.At, b.PerSec
	return reflect.DeepEqual(a, b)
}
