// Package rabbitmq carries messages over RabbitMQ 3.10 or later.
//
// Where things are, with the default prefix "parley" ([Options.Prefix] keeps environments apart on one virtual host):
//
//	channel orders.v1.cancel-order        direct exchange  parley.orders.v1.cancel-order
//	a Queue without order                 quorum queue     parley.orders.v1.cancel-order
//	partition P of a Queue                quorum queue     parley.orders.v1.cancel-order:P
//	group mail of a Topic                 quorum queue     parley.orders.v1.order-placed:mail, or :mail:P
//	a Stream, or a partition of it        stream           parley.orders.v1.order-placed, or :P
//	position of group mail in a Stream    quorum queue     parley.orders.v1.order-placed:mail, or :mail:P
//	the same, to be looked at             quorum queue     … and ":position"
//	members of a partitioned group        classic queue    … and ":members"; it never has a message
//	exchange of all positions             direct exchange  parley.POSITION
//	what waits for its NotBefore          quorum queues    parley.DELAY.00 to parley.DELAY.24
//	where it goes then                    topic exchange   parley.DELAY
//
// Long names end with a hash. A routing key is a partition (0 where there is none), and ":mail" after it for a copy that
// is for that group only. The form of a channel stands as the alternate exchange of its exchange, which does not exist.
//
// A message is a CloudEvents event in binary mode: application headers "cloudEvents:" and the attribute's name, the
// property content-type; events in structured mode and the prefix "cloudEvents_" are read too. What is no event is
// delivered all the same, so that it can end among the dead letters: with an ID made of the queue and the message, the
// body as it came, and the reason in the header [Malformed].
//
// # What holds
//
// A nil Receipt.Err means that each queue that takes the message has stored it. Quorum queues write through to the disk;
// streams do not, and no client can ask for the number of nodes: so [transport.Features.Survives] is "process". What no
// queue takes is an error, except on a Topic. Repeats are not recognised, and who subscribes is not known. Sends share one
// channel, with any number of confirmations in flight; a lost connection makes the outcome of those unknown. A Queue or
// Topic with RetainBytes refuses messages when it is full; its Retain is not enforced here, as the server would drop what
// is too old without a word.
//
// What is returned on an unordered Queue or Topic goes back to the server after a pause that grows from 10 ms to 1 s,
// maybe to another instance. In a partition, or on a Stream, it stays here and comes again after such a pause, before
// anything that follows it.
//
// A partition has one owner in each group: a single active consumer, for a Stream that of the group's position. Instances
// count each other every second, and who has more than his share passes partitions on as [transport.Delivery.Yield] says:
// nothing new, wait for what runs, close the channel. An owner that is killed is followed at once, one that is frozen
// within three heartbeats of 5 s; [transport.Delivery.Valid] is false from [Lease] after the last confirmed round trip
// on, which is earlier. Fence is 0. A Stream without order is read by one instance of a group at a time.
//
// Positions of a Stream's group are stored every half second, and when a partition passes on: after a crash, what was
// settled since is delivered again. Positions by time are those of the senders' clocks.
//
// # Delays
//
// A message with NotBefore climbs down a ladder of queues, each of which holds what it has twice as long as the next. It
// is never early by the server's clock, and late by 250 ms and its way, in all. If its Queue is deleted meanwhile, it
// waits on the ladder until that is declared again; 32 of those hold up a level.
//
// # The server's own settings
//
// Leave policies that drop (message-ttl, max-length, expires, delivery-limit) off these queues. Rights: who declares needs
// configure, write and read on ^parley\. ; who sends write on the channel's exchange and ^parley\.DELAY.
//
// RabbitMQ 4 returns a message 20 times and then drops it, unless a queue says otherwise: these do. A server before 3.12
// closes the channel of a handler that takes longer than consumer_timeout (30 minutes if not set) and delivers the
// message again, beside the handler; what is received goes on. Later ones are told 90 days by the queue.
package rabbitmq
