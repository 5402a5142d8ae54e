package main

import (
	"github.com/spf13/cobra"

	"github.com/parley-io/parley/network"
)

// newNetworksTopic is `parley help networks`.
func newNetworksTopic() *cobra.Command {
	return &cobra.Command{Use: "networks", Short: "The URLs of networks, and what their brokers have to survive", Long: `A network is named by a URL: ` + network.Forms + `

Several servers of one broker are joined by commas. In a password, / is written as %2F, @ as %40, ? as %3F, # as %23.

What a broker confirms has to survive a loss of power, or the network is refused: no message that was accepted may be
lost. survives=process in the URL accepts less, survives=node wants more.

  embedded  survives it: each confirmation is on disk
  nats      says nothing about itself: with sync_interval: always in its jetstream block its operator may say survives=power,
            and with three servers and replicas=3, survives=node
  amqp      does not write streams to disk at once
  kafka     does not write to disk at once; survives the loss of a node with replicas=3 and min.insync.replicas=2

Where --network is not given it is PARLEY_NETWORK, else the network of your running "parley dev". Passwords are never
printed, but a command line can be seen by others on the machine: PARLEY_NETWORK can not.`}
}
