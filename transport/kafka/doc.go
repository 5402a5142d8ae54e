// Package kafka carries messages over Apache Kafka, 4.0 or later; 4.1 is what it is tried with.
//
// Where things are, with the default prefix "parley" ([Options.Prefix] keeps environments apart in one cluster):
//
//	channel orders.v1.cancel-order    topic           parley.orders.v1.cancel-order
//	a Queue's one group               consumer group  parley.orders.v1.cancel-order._
//	group billing                     consumer group  parley.orders.v1.cancel-order.billing
//	forms of channels, and groups     topic           parley.REGISTRY
//	what waits for its NotBefore      topic           parley.DELAY
//	who moves it when it is due       consumer group  parley.DELAY, transactional ids parley.DELAY.P
//
// A channel with order has a partition for each of its own; a Queue or Topic without order has [UnorderedPartitions],
// which its messages take in turn; a Stream without order has one, so one receiver of a group at a time. Topics are
// created with the cluster's replication and min.insync.replicas. A copy for one group is a record like the others,
// which the receivers of other groups pass over. Queues and Topics have no retention: what all their groups have
// handled is deleted twice a minute. Groups are those that are registered, and every other consumer group that has
// committed a place in the topic: so a consumer that was forgotten keeps everything until its offsets expire. Who
// reads without committing, or in a group that our user has no right to describe, is not seen. Retain of a Queue or
// Topic is recorded and not enforced here, as Kafka would drop what is too old without a word: the layer above looks
// at [transport.Delivery.Accepted]. RetainBytes of a Queue or Topic is recorded only. A Stream is bounded by age and
// size, in steps of its segments. A topic that somebody else has made is taken over if it fits; one whose settings
// lose messages, such as cleanup.policy=compact, is refused.
//
// A record is a CloudEvents event in binary mode: headers "ce_" and the attribute's name, "content-type"; the record's
// key is the envelope's. Events in structured mode are read too. What is no event is delivered all the same, so that it
// can end among the dead letters: with an ID made of topic, partition and offset, the body as it came, and the reason
// in the header [transport.Malformed].
//
// The user needs these rights on what begins with the prefix: Create, Describe, DescribeConfigs, Read, Write and Delete
// (for records) on topics; Read, Describe and Delete on groups; Write and Describe on transactional ids; and on the
// cluster IdempotentWrite (granted with Write to some topic) and DescribeConfigs, without which what a confirmation
// survives is told as "process". It needs Describe, too, on the groups of others that read Queues and Topics.
//
// # What holds
//
// A nil Receipt.Err means that all in-sync replicas have the message; Kafka does not sync its log, so a single broker's
// confirmation survives the process and not a power failure. Within one Broker a message is stored once, also when its
// connections break, and when a Send whose outcome was left open is repeated: the repeat waits for the first. Another
// process, or another Broker, that repeats it stores it twice. Receipt.Position is "PARTITION:OFFSET"; as the place to
// begin or end in a Stream of several partitions it means, in the others, the time of that message less a second.
//
// A channel that somebody has deleted is declared again by who sends to it, whose message was not sent, and by who
// receives from it, who then goes on with all that it has; a Receive with an Until ends. So it is when the cluster has
// lost everything: the groups of Topics and Streams are then those whose receivers are there, and fences begin anew. As
// the client library never takes another topic for one that it has known, its clients are replaced; outcomes that were
// not known yet stay open then, also of other channels. Before Kafka 4.2 the cluster keeps a group's mark under its topic's
// name alone; as the topic's id goes with it, a mark that comes when the topic was made again counts for nothing there.
//
// Receivers are members of a consumer group: cooperative-sticky, with a session of [Session]. Marks are committed up
// to the oldest message that is not settled, with what is settled behind it in the commit's metadata, and only as the
// member that settled it. A partition that passes to another is handed over: its deliveries are told to yield, what
// runs is waited for up to [transport.HandOver], its mark is committed; then the group goes on. After a crash, what
// was not committed, what was settled in the last 50 to 200 ms, is delivered again. [transport.Delivery.Valid] is false
// once the last confirmed heartbeat is older than [Lease], and nothing is handed out then: the cluster gives what is
// stored to whoever asks. Who was expelled learns of it from the next heartbeat, a second later, and then Revoked is
// closed. Fence is the generation of the group when the partition came: each owner's is higher than the one's before it,
// until the group is removed. A returned message comes again from memory, in its order, after a short rest of its
// partition; the rest grows with each time.
//
// A group keeps its place without members for offsets.retention.minutes of the cluster, 7 days by default. After that
// a registered group begins again with the oldest message that is kept, and so handles some again rather than none. The
// first member of a group waits for others for group.initial.rebalance.delay.ms, 3 s by default, and this goes for
// moving delayed messages, too.
//
// A delayed message is moved by one of the processes that have declared something, in a transaction: it is in its
// channel once, and not before its time by the clock of that process. When that process dies, another one begins after
// Session; and as messages are read only once transactions before them have ended, one that it leaves behind holds up
// its channels for up to 10 s. What waits is in the memory of who moves it, with its body. What its channel does not
// take, because that was deleted, is tried again for ever, about once a minute in the end.
package kafka
