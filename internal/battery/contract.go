package main

import "github.com/parley-io/parley"

// What the workers tell each other about, on the network under test.
var (
	api = parley.NewAPI("battery", 1)
	// inOrder is handled in the order of its lane, free as it comes.
	inOrder = parley.NewCommand[load](api, "in-order").KeyedBy(func(l load) string { return l.Lane })
	free    = parley.NewCommand[load](api, "free")
)

// load is one message. A lane is what one goroutine sends, each message after the confirmation of the one before.
type load struct {
	Lane    string `json:"lane"`
	Number  int    `json:"number"` // in the lane, from 1
	Kind    kind   `json:"kind,omitzero"`
	Ballast string `json:"ballast,omitzero"`
}

// kind is what is special about a message.
type kind string

const (
	good     kind = ""
	poison   kind = "poison"   // its handler fails at each attempt
	slow     kind = "slow"     // its handler takes long
	oversize kind = "oversize" // it is larger than a message may be
	stranger kind = "stranger" // its body is none of the contract
)
