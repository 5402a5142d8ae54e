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
//	members of a partitioned group        quorum queue     … and ":members"; it never has a message
//	exchange of all positions             direct exchange  parley.POSITION
//	what waits for its NotBefore          quorum queues    parley.DELAY.00 to parley.DELAY.24
//	what is due within a minute           quorum queues    parley.DELAY.NEAR.4, .16 and .64: seconds
//	who asks for the server's time        classic queue    parley.DELAY.TIME. and a random word, as long as he is connected
//	where it goes then                    topic exchange   parley.DELAY
//	the same, before a queue of bounded   quorum queue     … the queue's name and ":LANDING"
//	size (RetainBytes)
//
// Long names end with a hash. A routing key is a partition (0 where there is none), and ":mail" after it for a copy that
// is for that group only. The form of a channel stands as the alternate exchange of its exchange, which does not exist.
//
// A message is a CloudEvents event in binary mode: application headers "cloudEvents:" and the attribute's name, the
// property content-type; events in structured mode and the prefix "cloudEvents_" are read too. What is no event is
// delivered all the same, so that it can end among the dead letters: with an ID made of the queue and the message, the
// body as it came, and the reason in the header [transport.Malformed].
//
// # What holds
//
// A nil Receipt.Err means that each queue that takes the message has stored it. Quorum queues write through to the disk;
// streams do not, and no client can ask for the number of nodes: so [transport.Features.Survives] is "process". What no
// queue takes is an error, except on a Topic. Repeats are not recognised, and who subscribes is not known. Sends share one
// channel, with any number of confirmations in flight; a lost connection makes the outcome of those unknown, and so does the
// server when it closes the channel because an exchange was deleted or a right is missing. One batch goes over one
// connection. A Queue or Topic with RetainBytes refuses messages when it is full; its Retain is not enforced here, as the
// server would drop what is too old without a word.
//
// What is returned on an unordered Queue or Topic goes back to the server after a pause that grows from 10 ms to 1 s,
// maybe to another instance. In a partition, or on a Stream, it stays here and comes again after such a pause, before
// anything that follows it.
//
// A partition has one owner in each group: a single active consumer, for a Stream that of the group's position. Instances
// count each other every second, and who has more than his share passes partitions on as [transport.Delivery.Yield] says:
// nothing new, wait for what runs, close the channel. An owner that is killed is followed at once, one that is frozen
// within three heartbeats of 5 s. Fence is 0. A Stream without order is read by one instance of a group at a time.
//
// [transport.Delivery.Valid] is false from [Lease] after the last confirmed round trip on, which is earlier than a silent
// connection is given up, and once the end of the consumer's channel has been read. It can be true beside another owner
// when the server itself ends the channel (consumer_timeout), until that is read; and in a cluster when the node that
// answers here is cut off from the majority of the queue's, as the round trip is with this node only.
//
// Positions of a Stream's group are stored every half second, and when a partition passes on: after a crash, what was
// settled since is delivered again. A position knows when the message before it was sent: if the stream has another
// message there, or ends before it, it was made anew or has lost its end, and all that it has is delivered. So it is when
// a position cannot be read. What waits behind a message that takes long is at most ten times the prefetch: then nothing
// more of that partition is handed out. Positions by time are those of the senders' clocks. To begin at the end of a
// stream, which it does not tell, takes half a second.
//
// # Delays
//
// What is due within 64 s waits in a queue NEAR, and one process for each of these queues, of those that have declared or
// received something, holds up to 8,192 messages of it and hands each on when it is due. What is due later climbs down a
// ladder of queues before, each of which holds what it has twice as long as the next, and leaves it at least 32 s before
// it is due. A message is never early, neither by the sender's clock as its NotBefore is, nor by the server's: the sender
// says how long it waits in all, and the clocks of other processes do not matter. It is late by its way, some
// milliseconds; where something held it up, its time by the server's clock counts, which processes learn within a second
// from what the server rejects, and is carried with it. The nodes of a cluster are taken to have the same time.
//
// As long as no process is connected that has declared or received anything with this prefix, what is due waits in NEAR.
// When the process that holds messages ends, or its connection, the next one gets them, and that of one that is frozen
// within three heartbeats of 5 s; what it has just handed on comes twice if it did not end in order. What is due before
// 8,192 messages that wait in the same queue and came earlier is late.
//
// If its Queue is deleted meanwhile, a message is held until that is declared again, and tried every 5 s; 8,192 of those
// hold up one of the queues. If it has RetainBytes and is full, the message waits in the queue's LANDING, which is not
// bounded, and holds up nobody else; the server tries again every dead_letter_worker_publisher_confirm_timeout, 3 minutes
// if not set. So late, too, is what is to leave the ladder just when the server starts again and (3.10.8 was tried) has
// not found the next queue's exchange yet, by what that takes longer than 32 s: set it to 10 s, as the servers of the tests
// have it, in advanced.config: {rabbit, [{dead_letter_worker_publisher_confirm_timeout, 10000}]}.
//
// # The client library
//
// amqp091-go does the handshake, heartbeats, channels, declarations and acknowledgements. Messages, their confirmations and
// what is returned pass by it, on the same connections: see wire. What is handled is acknowledged in order, once it is a
// quarter of the prefetch or 10 ms old: a server that dies meanwhile delivers it again.
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
