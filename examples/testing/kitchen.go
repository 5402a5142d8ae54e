package testing

import (
	"context"
	"time"

	"github.com/parley-io/parley"
)

// API is what the kitchen understands.
var API = parley.NewAPI("kitchen", 1)

// Cook prepares a dish.
var Cook = parley.NewCommand[Dish](API, "cook")

// Cooked is published for each dish that is ready.
var Cooked = parley.NewEvent[Dish](API, "cooked")

// Dish is what was ordered.
type Dish struct {
	Name    string `json:"name" minLength:"1"`
	Minutes int    `json:"minutes" minimum:"1"`
}

// Kitchen handles Cook, which takes time, and publishes Cooked.
func Kitchen(client *parley.Client) parley.Registration {
	return Cook.Handle(func(ctx context.Context, d Dish) error {
		select {
		case <-time.After(time.Duration(d.Minutes) * time.Minute):
		case <-ctx.Done():
			return ctx.Err()
		}
		_, err := Cooked.Publish(ctx, client, d)
		return err
	}, parley.HandlerTimeout(time.Hour))
}
