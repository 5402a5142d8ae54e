package main

import (
	"context"
	"slices"
)

// kind is what a client is on any network.
type kind string

const (
	raw kind = "raw" // the library that there is for the broker
	// removing is raw with queues from which the broker removes what is acknowledged, as it does from those of Parley; where
	// that is something else.
	removing kind = "raw, work queue"
	tuned    kind = "watermill" // with the best settings that were found
	// untuned is Watermill as it is without settings but that the broker confirms, where that is something else.
	untuned kind = "watermill, defaults"
	// ours is package delivery on the network's broker, ledger and contracts aside.
	ours kind = "parley"
	// silent and ledgered are verbs of contracts, and services, without and with the ledger.
	silent   kind = "parley, ledger off"
	ledgered kind = "parley, ledger on"
	// collected is the same in a process that collects the ledger wherever the broker is.
	collected kind = "parley, ledger collected"
)

// brand is a client of a network.
type brand struct {
	kind kind
	name string // in the tables
	open func(ctx context.Context, url string) (client, error)
}

// brands are the clients of a network, by the scheme of its URL. nil = unknown.
func brands(scheme string) []brand {
	var theirs []brand
	switch scheme {
	case "amqp":
		theirs = []brand{{raw, "amqp091-go", openAMQP}, named(tuned, openAMQPMill), named(untuned, openAMQPMillDefaults)}
	case "kafka":
		theirs = []brand{{raw, "franz-go", openKafka}, named(tuned, openKafkaMill)}
	case "nats", embeddedSite:
		theirs = []brand{{raw, "nats.go", openNATS}, {removing, "nats.go, work queue", openNATSWorkQueue}, named(tuned, openNATSMill)}
	default:
		return nil
	}
	return append(theirs, named(ours, openParley), named(silent, openSilent), named(ledgered, openLedgered), named(collected, openCollected))
}

func named(k kind, open func(context.Context, string) (client, error)) brand {
	return brand{k, string(k), open}
}

// brandOf is the brand of a kind; ok is false where the network has none.
func brandOf(scheme string, k kind) (b brand, ok bool) {
	all := brands(scheme)
	i := slices.IndexFunc(all, func(b brand) bool { return b.kind == k })
	if i < 0 {
		return brand{}, false
	}
	return all[i], true
}

// theirs reports whether k is a client of somebody else, which does not understand the parameters of our URLs.
func (k kind) theirs() bool { return k == raw || k == removing || k == tuned || k == untuned }
