package main

import (
	"context"
	"testing"
	"time"
)

func TestALetterIsReadAsItWasWritten(t *testing.T) {
	want := letter{number: 2 * letterKeys, sent: 3 * time.Second}
	body := want.body()
	if got := readLetter(body); got != want || len(body) != letterBytes {
		t.Errorf("%d bytes read as %+v; want %d bytes, %+v", len(body), got, letterBytes, want)
	}
	if got := want.key(letterKeys); got != "key-0" {
		t.Errorf("key = %s; want that of number 0, which is %d earlier", got, 2*letterKeys)
	}
}

func TestABookCountsEachMessageOnceAndThoseOutOfOrder(t *testing.T) {
	for _, c := range []struct {
		name             string
		numbers          []int
		count, misplaced int
	}{
		{"each key from its first", []int{0, 1, letterKeys + 1, letterKeys, 2 * letterKeys}, 5, 0},
		{"delivered twice", []int{0, 0, letterKeys, 0}, 2, 0},
		{"one overtakes", []int{0, 2 * letterKeys, letterKeys, 3 * letterKeys}, 4, 1},
		{"the first is missing", []int{letterKeys}, 1, 1},
	} {
		var b book
		for _, n := range c.numbers {
			b.note(0, letter{number: n}.body())
		}
		if b.count != c.count || b.misplaced != c.misplaced {
			t.Errorf("%s: %d messages, %d out of order; want %d and %d", c.name, b.count, b.misplaced, c.count, c.misplaced)
		}
	}
}

func TestABookMeasuresFromItsBegin(t *testing.T) {
	var b book
	b.note(time.Second, letter{number: 0}.body())
	b.begin(1)
	b.note(5*time.Second, letter{number: 1, sent: 2 * time.Second}.body())
	if f := b.figures(); f.Count != 1 || f.P50 != 3*time.Second || f.Took <= 0 {
		t.Errorf("figures = %+v; want one message that took 3 s", f)
	}
	b.begin(1) // too late
	if f := b.figures(); f.Count != 1 {
		t.Errorf("figures after a begin that came too late = %+v; want those of before", f)
	}
}

func TestABookLeavesOutWhatIsLeftOver(t *testing.T) {
	b := book{from: 2}
	b.note(3, letter{number: 0, sent: 1}.body())
	b.note(3, letter{number: 0, sent: 2}.body())
	if b.count != 1 {
		t.Errorf("%d messages; want the one that was sent after it had begun", b.count)
	}
}

func TestABookThatWaitsInVainSaysForHowMany(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b book
	b.note(0, letter{}.body())
	if err := b.wait(ctx, 1); err != nil {
		t.Errorf("wait for the one that is there = %v; want nil", err)
	}
	want := "1 of 2 messages were handled: context canceled"
	if err := b.wait(ctx, 2); err == nil || err.Error() != want {
		t.Errorf("wait = %v; want %s", err, want)
	}
}
