package main

import (
	"context"
	"os"
	"time"

	"github.com/parley-io/parley"
)

// The contract of the operation that the scripts start.
var (
	cateringAPI   = parley.NewAPI("catering", 1)
	cateringFeast = parley.NewOperation[feast, meal](cateringAPI, "feast", parley.Phases("shop", "taste", "approved", "cook"))
	cateringYes   = parley.NewSignal[approval](cateringFeast, "approved")
	cateringNo    = cateringAPI.NewError("refused", parley.NotFound)
)

type feast struct {
	Name   string `json:"name" minLength:"1"`
	Guests int    `json:"guests" minimum:"1"`
	Ask    bool   `json:"ask,omitzero"` // it waits for somebody's approval
}

type approval struct {
	By string `json:"by" minLength:"1"`
}

// feed shops, which is undone if nobody wants the feast, asks if it should, and cooks. While the file "broken" is there,
// cooking is tried again and again, and what the taster of mushrooms says cannot be kept.
func feed(ctx context.Context, f feast) (meal, error) {
	parley.Undo(ctx, "shop", func(context.Context) error { return nil })
	if _, err := parley.Step(ctx, "shop", func(context.Context) (int, error) { return f.Guests, nil }); err != nil {
		return meal{}, err
	}
	if f.Name == "toast" {
		return meal{}, cateringNo
	}
	if f.Name == "mushrooms" {
		if _, err := parley.Step(ctx, "taste", taste); err != nil {
			return meal{}, err
		}
	}
	by := "nobody"
	if f.Ask {
		a, err := cateringYes.Await(ctx, parley.Within(time.Hour))
		if err != nil {
			return meal{}, err
		}
		by = a.By
	}
	return parley.Step(ctx, "cook", func(context.Context) (meal, error) {
		if isBroken() {
			return meal{}, parley.RetryAfter(parley.Errorf(parley.Unavailable, "the oven is broken"), 50*time.Millisecond)
		}
		return meal{Text: f.Name + ", asked for by " + by}, nil
	})
}

func taste(context.Context) (any, error) {
	if isBroken() {
		return make(chan int), nil
	}
	return "good", nil
}

func isBroken() bool {
	_, err := os.Stat("broken")
	return err == nil
}
