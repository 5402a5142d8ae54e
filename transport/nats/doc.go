// Package nats carries messages over NATS JetStream, server 2.14 or later; 2.15 is what it is tested with. Package
// nats/embedded runs such a server inside the process.
//
// Where things are, with the default prefix "parley" ([Options.Prefix] keeps environments apart on one server):
//
//	channel orders.v1.cancel-order    stream   parley_orders_v1_cancel-order
//	its messages                      subject  parley.orders_v1_cancel-order.P, P the partition, 0 where there is no order
//	a copy for one group              subject  parley.orders_v1_cancel-order.P.g.GROUP
//	a group of an unordered channel   durable consumer GROUP of the stream; "_" is a Queue's one group
//	a group's partition P             durable consumer GROUP_P, _P of a Queue
//	who has a partition               key owner.STREAM.GROUP.P of the bucket parley_owners: a member, or "free"
//	who is in a group                 key member.STREAM.GROUP.MEMBER there
//	which processes live              key lease.ID there, written every 0.75 s; a member's name begins with the ID
//	what waits for its NotBefore      stream   parley_DELAY
//
// A Queue is a stream without limits, from which its receivers remove what is acknowledged, some seconds or a thousand
// messages at a time: for the server to remove each message costs a synced write. One with RetainBytes has work-queue
// retention all the same, so that what is handled makes room at once; and so have those that earlier versions made, until they
// are deleted. A Topic has interest retention. Both refuse messages when they are full, and drop none. A Stream has limits
// by age and size. The form of a channel is kept in the stream's metadata. Retain of a Queue or Topic is recorded and not
// enforced here: JetStream would drop what is too old without a word, so the layer above must look at
// [transport.Delivery.Accepted].
//
// A message is a CloudEvents event in binary mode: headers "ce-" and the attribute's name, values as
// [transport.EscapeAttribute] makes them, "content-type"; events in structured mode are read too. What is no event is
// delivered all the same, so that it can end among the dead letters: with an ID made of stream and sequence, the body
// as it came, and the reason in the header [transport.Malformed].
//
// # What holds
//
// A nil Receipt.Err means that the server has stored the message as [Options.Survives] says. (ID, Copy, Group) is
// stored once within [DedupeWindow]. Receipt.Groups counts the groups whose consumer existed when the message was stored: exactly,
// on a single server, because it tells of consumers and of stored messages on one connection in their order; in a
// cluster, a group counts once the news of it has arrived. Receipt.Position is the stream's sequence.
//
// Many goroutines that send to one channel share fsyncs: from 20 messages at once on, one group of them is being stored
// while the next one gathers, and goes as one atomic batch; fewer are sent as they come. One duplicate makes the server
// refuse a whole batch; nothing of it is stored then, so its members are sent singly, each with its own outcome. What this
// Broker sends again because it does not know its outcome is never in a batch, and nothing is on its way beside it.
//
// An account that has a limit, as that of an embedded server always has, is filled up to a sixteenth of it, or 16 MiB if
// that is less: the signs of life below need room, too. What does not fit is ErrNotSent and [transport.ResourceExhausted],
// and so is what the server itself refuses for want of room. A server whose own limit is reached before its accounts'
// refuses everything; nobody keeps a partition then. [Broker.Storage] tells how much is stored.
//
// # Who gets what
//
// All receivers of a group of an unordered channel share one consumer. What was on the way to a receiver that is alone
// in its group comes again at once when its connection is lost or its process is killed and started again; where
// others are alive, it comes after [AckWait]. Two receivers that start in the same instant may both think that they
// are alone; then what was on the way may be delivered to both. [transport.Delivery.Valid] says whether a round trip
// to the server was confirmed within [Lease], which is shorter than AckWait: before the server gives a delivery to
// another, Valid is false. Fence is 0.
//
// Each partition of an ordered channel has one owner in a group, a Receive; all Receives of a group have as many, give
// or take one. An owner writes its name into the ownership key, over the revision that it found; the new revision is
// the Fence. When another joins, owners give up what they have too much: they close Yield, wait for what runs, and set
// the key to "free". That takes as long as the handlers, a few milliseconds without any. A Receive that ends, and a
// Broker that is closed, do the same, so nobody waits for them.
//
// A Broker lives by one lease, however many partitions it has: idle, it writes 1.3 keys a second. When it goes silent
// for [LeaseTTL], others remove its lease, by revision, and then take its partitions: 6 to 7 s after a crash, a freeze
// or a cut. This also is how long a process waits that starts again after a crash: for the rest of the old lease, and
// for half a LeaseTTL at least, so that a server whose clock is set cannot make the living look dead. A renewal
// succeeds only over the revision before it; so who was away for long and still has its lease, still has its
// partitions, and goes on with what it has in hand: as does a lone receiver after any outage of the server. Valid is
// false from 0.5 s before others may remove the lease until the next renewal is confirmed, by the monotonic clock or
// the wall clock, whichever has gone on more. Where others of the group are known, Yield and Revoked are closed when
// the lease has lapsed; a lone receiver's only when it is known that another has taken over.
//
// A new owner begins behind the acknowledgement floor, if anything was on its way to the one before: what is behind
// the floor and was handled, comes again if it is still stored, which on a Stream it is, on a Topic as long as other
// groups have it to do, and on a Queue if that was in the last seconds of an owner that could not end in order. An owner
// drops what it has already settled, and acknowledges nothing else unseen. A process that is killed has not acknowledged
// what it handled in its last 5 ms.
//
// A server that was killed has forgotten some tenths of a second of acknowledgements on Queues and Streams: what they were
// for comes again. What waits on an unordered Queue to be delivered again, because its receiver has died or has given it
// back, may come up to AckWait later than it could, where others are handled meanwhile: the server forgets that it
// was about to deliver it when what is older is removed.
//
// A handler that runs when its process freezes, or the machine of a process is suspended, ends beside those of the
// next owner, and Valid may have been asked just before. Only a check of the Fence where the effect lands keeps that
// out. Fences grow as long as the bucket is not lost.
package nats
