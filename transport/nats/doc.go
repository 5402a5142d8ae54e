// Package nats carries messages over NATS JetStream, server 2.15 or later. Package nats/embedded runs such a server
// inside the process.
//
// Where things are, with the default prefix "parley" ([Options.Prefix] keeps environments apart on one server):
//
//	channel orders.v1.cancel-order    stream   parley_orders_v1_cancel-order
//	its messages                      subject  parley.orders_v1_cancel-order.P, P the partition, 0 where there is no order
//	a copy for one group              subject  parley.orders_v1_cancel-order.P.g.GROUP
//	a group                           durable consumer GROUP of the stream; "_" is a Queue's one group
//	what waits for its NotBefore      stream   parley_DELAY
//
// A Queue is a stream with work-queue retention, a Topic one with interest retention (both refuse messages when they
// are full, and drop none), a Stream one with limits by age and size. The form of a channel is kept in the stream's
// metadata. Retain of a Queue or Topic is recorded and not enforced here: JetStream would drop what is too old without
// a word, so the layer above must look at [transport.Delivery.Accepted].
//
// A message is a CloudEvents event in binary mode: headers "ce-" and the attribute's name, values as
// [transport.EscapeAttribute] makes them, "content-type"; events in structured mode are read too. What is no event is
// delivered all the same, so that it can end among the dead letters: with an ID made of stream and sequence, the body
// as it came, and the reason in the header [Malformed].
//
// # What holds
//
// A nil Receipt.Err means that the server has stored the message as [Options.Survives] says. (ID, Copy, Group) is
// stored once within [DedupeWindow]. Receipt.Groups counts the groups whose consumer existed when the message was stored: exactly,
// on a single server, because it tells of consumers and of stored messages on one connection in their order; in a
// cluster, a group counts once the news of it has arrived. Receipt.Position is the stream's sequence.
//
// Many goroutines that send to one channel share fsyncs: while one group of messages is being stored, the next one
// gathers, and goes as one atomic batch if that is cheaper. One duplicate makes the server refuse a whole batch; nothing
// of it is stored then, so its members are sent singly, each with its own outcome.
//
// All receivers of a group share one consumer. Order per partition holds among the deliveries of one process, also
// when the connection is lost or the process is killed and started again: a receiver that is alone in its group asks
// for what was on the way to be delivered again at once, in order, before anything newer. Where other receivers of the
// group are alive, that comes back after [AckWait] and may come behind newer messages. Two receivers that start in the
// same instant may both think that they are alone; then what was on the way may be delivered to both.
//
// [transport.Delivery.Valid] says whether a round trip to the server was confirmed within [Lease], which is shorter than
// AckWait: before the server gives a delivery to another, Valid is false. Fence is 0.
package nats
