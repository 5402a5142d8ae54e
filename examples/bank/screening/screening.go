// Package screening is the contract of the fraud screening.
package screening

import "github.com/parley-io/parley"

// API is version 1 of the fraud screening.
var API = parley.NewAPI("screening", 1)

// Screen looks somebody up among those who have deceived a bank before.
var Screen = parley.NewCall[Person, Verdict](API, "screen", parley.Idempotent())

// Person is who is looked up.
type Person struct {
	Name string `json:"name" minLength:"1"`
}

// Verdict is what was found.
type Verdict struct {
	Suspect bool `json:"suspect"`
}
