// Package embedded runs a NATS server with JetStream inside the process: a durable broker without installation. It is
// the only package that knows the server; package nats connects to it, in process or over loopback, like to any other.
//
//	server, err := embedded.Start(ctx, embedded.Options{Dir: "parley-data"})
//	broker, err := nats.Open(ctx, nats.Options{InProcess: server, Survives: server.Survives()})
//	…
//	err = broker.Close(ctx)
//	err = server.Close(ctx)
//
// Each confirmation is given after an fsync, so that what was confirmed survives a power loss: messages, the channels
// and groups that exist, and no position of a group that is ahead of what it has settled. What was settled in the last
// moments may come again.
//
// # Full
//
// What is kept is bound by Options.MaxBytes, and by the disk as soon as that is nearly full: a sixteenth of it, 256 MiB at
// the most, is left for acknowledgements and indices. What would exceed that is refused, with an error that says so, and
// receivers go on, so that it gets empty again. [Server.Status] tells what is kept and how much may be.
//
// Where something else fills the disk faster than that is noticed, within 100 ms, the server can no longer write. It is
// ended then, which leaves nobody waiting for a confirmation, and another one is started in its place, in the same process
// and on the same address, as soon as there is room; connections come back by themselves.
//
// # End
//
// [Server.Close] takes about 10 ms for each group of each channel, or for each partition of it where there are some.
package embedded
