// Package embedded runs a NATS server with JetStream inside the process: a durable broker without installation. It is
// the only package that knows the server; package nats connects to it, in process or over loopback, like to any other.
//
//	server, err := embedded.Start(ctx, embedded.Options{Dir: "parley-data"})
//	broker, err := nats.Open(ctx, nats.Options{InProcess: server, Survives: server.Survives()})
//	…
//	err = broker.Close(ctx)
//	err = server.Close(ctx)
//
// Each confirmation is given after an fsync, so that what was confirmed survives a power loss.
package embedded
