// Package servers installs, starts and ends real brokers, for tests and for people: RabbitMQ from the system's packages,
// Apache Kafka from its Maven artifacts, nats-server from its Go module. A test that needs one and may share it takes
// [Use]; one that kills, freezes or configures it takes [Start].
//
//	server, err := servers.Start(ctx, servers.Kafka, servers.Options{})
//	…
//	server.KeepLogs = t.Failed()
//	err = server.Stop(ctx)
//
// Several may run at once on a machine. Each listens on the loopback only, on ports that were free, with names, passwords
// and directories of its own:
//
//	DIR/logs        what the server says, a file for each process
//	DIR/data        what it stores
//	DIR/…           its configuration
//
// A RabbitMQ node has an epmd of its own; those of a cluster share one. [StartCluster] starts three servers that keep copies
// of everything, of which one may be killed at a time.
// The services that the system's packages bring are neither used nor left running.
//
// The program in run is the same for a shell and for make.
package servers
