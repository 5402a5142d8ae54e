// Package bureau is the contract of the credit bureau.
package bureau

import "github.com/parley-io/parley"

// API is version 1 of the credit bureau.
var API = parley.NewAPI("bureau", 1)

// Score says how well somebody has paid so far.
var Score = parley.NewCall[Person, Report](API, "score", parley.Idempotent())

// Person is who is asked about.
type Person struct {
	Name string `json:"name" minLength:"1"`
}

// Report is what the bureau knows.
type Report struct {
	Score int `json:"score"` // up to 850; 0 = nobody has heard of them
}
