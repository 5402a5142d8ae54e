package parley_test

import (
	"time"

	"github.com/parley-io/parley"
)

// The contracts that the tests of this package talk by.
var (
	cafe = parley.NewAPI("cafe", 1)

	getPrice = parley.NewCall[item, price](cafe, "get-price", parley.Idempotent(), parley.REST("GET", "/prices/{name}"))
	brew     = parley.NewCommand[order](cafe, "brew").KeyedBy(func(o order) string { return o.Table })
	clean    = parley.NewCommand[order](cafe, "clean", parley.Lifetime(time.Minute))
	served   = parley.NewEvent[order](cafe, "served")
	closing  = parley.NewEvent[order](cafe, "closing", parley.RequireAudience())
	sold     = parley.NewEvent[order](cafe, "sold", parley.Stream(time.Hour, 0))

	cater = parley.NewOperation[order, price](cafe, "cater", parley.Timeout(7*24*time.Hour), parley.Phases("cafe.v1.get-price", "deposit", "confirmed", "cook"))
	plan  = parley.NewOperation[order, price](cafe, "plan")

	measure = parley.NewOperation[order, ratio](cafe, "measure")

	confirmed = parley.NewSignal[confirmation](cater, "confirmed")

	priceOf = parley.NewCall[order, price](cafe, "price-of")

	errSoldOut = cafe.NewError("sold-out", parley.FailedPrecondition)
)

type item struct {
	Name string `json:"name" minLength:"1"`
}

type price struct {
	Cents int `json:"cents"`
}

type order struct {
	Table string `json:"table"`
	Drink string `json:"drink" minLength:"1"`
}

type ratio struct {
	Value float64 `json:"value"`
}

type confirmation struct {
	By string `json:"by" minLength:"1"`
}

type shortage struct {
	Left int `json:"left"`
}
