package network

import (
	"fmt"
	"slices"

	"github.com/parley-io/parley/transport"
)

// checkSurvives reports a broker whose confirmations survive less than they have to: what the URL says, else a loss of power.
func (a address) checkSurvives(f transport.Features) error {
	want := a.survives
	if want == "" {
		want = "power"
	}
	if slices.Index(survivals, f.Survives) >= slices.Index(survivals, want) {
		return nil
	}
	return urlError(fmt.Sprintf(`what this broker confirms survives %s, and has to survive %s
%s
or accept the loss, by survives=%s in the URL`, survivalOf(f.Survives), survivalOf(want), remedies[a.scheme], f.Survives))
}

// survivalOf is a kind of survival in words.
func survivalOf(kind string) string {
	words := map[string]string{
		"process": "the end of the broker's process (process)", "power": "a loss of power (power)", "node": "the loss of a node (node)",
	}
	if w, ok := words[kind]; ok {
		return w
	}
	return kind
}

// remedies are what makes the confirmations of a broker survive more.
var remedies = map[string]string{
	schemeNATS: `a NATS server writes to disk every two minutes, so a loss of power takes what was confirmed since; no client can see its settings
set sync_interval: always in its jetstream block and say survives=power, or with three servers replicas=3 and survives=node`,
	schemeAMQP: `RabbitMQ does not write its streams to disk at once, so a loss of power takes the newest of them: trails, presence, events of streams, dead letters
no setting changes that on a single node; a cluster of three nodes keeps what one of them loses`,
	schemeKafka: `Kafka does not write to disk at once, so a loss of power of a single broker takes the newest messages
use three brokers or more, replicas=3 in the URL (or default.replication.factor=3) and min.insync.replicas=2`,
}
