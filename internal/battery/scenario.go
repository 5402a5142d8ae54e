package main

import (
	"context"
	"time"
)

// scenario is one of the battery.
type scenario struct {
	name, what string
	proxied    bool // clients reach the broker through a proxy
	clustered  bool // it is for a cluster only
	single     bool // it is for a single broker only
	play       func(context.Context, *stage, *proxy) error
}

// scenarios are all of them, in the order in which they are run.
func scenarios() []scenario {
	return []scenario{
		{name: "kill", what: "kill -9 of the broker after 2.5 s each time, under 2,000 messages/s", single: true, play: killBroker},
		{name: "clients", what: "kill -9 and SIGSTOP of publishers and handlers at random under 1,000 messages/s", play: disturbClients},
		{name: "order", what: "processes that handle leave, join, are killed and frozen; order by key", play: keepOrder},
		{name: "network", what: "silent, reset, one-way, slow, flapping between clients and broker", proxied: true, single: true, play: breakNetwork},
		{name: "poison", what: "1% poison, 1% slow, 0.1% too large, 0.1% strange: exact dead letters", play: mixPoison},
		{name: "churn", what: "networks and services opened and closed again and again: nothing leaks", play: churnUp},
		{name: "schedule", what: "sends scheduled over a minute, the broker killed in the middle", single: true, play: sendLater},
		{name: "away", what: "the broker away for three minutes", single: true, play: leaveAway},
		{name: "cluster", what: "kills of a node, each once all copies are in sync again, under 500 messages/s", clustered: true, play: loseNodes},
	}
}

// result is what became of a scenario.
type result struct {
	Scenario string    `json:"scenario"`
	Network  string    `json:"network"`
	Cluster  bool      `json:"cluster,omitzero"`
	Seed     uint64    `json:"seed"`
	Passed   bool      `json:"passed"`
	Problems []string  `json:"problems,omitzero"`
	Figures  []figure  `json:"figures"`
	Began    time.Time `json:"began"`
	Took     float64   `json:"seconds"`
	Again    string    `json:"again"` // the command that does the same
}
