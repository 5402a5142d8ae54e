package main

// mutants are the defects that must not pass unnoticed, by the package that holds them.
var mutants = []mutant{
	// What delivery promises is played by the simulation, where no test of its own says it better.
	{
		name: "guard-always-true", defect: "a handler starts although another instance may have the partition",
		file: "delivery/partition.go", before: "return !closed(d.Revoked) && !closed(d.Yield) && d.Valid()", after: "return d != nil",
		dir: "delivery/simulate", check: "TestNoScheduleBreaksAPromise",
	},
	{
		name: "settled-before-the-ledger", defect: "a message is settled before its outcome is recorded",
		file:   "delivery/consumer.go",
		before: "c.record(kind, t, more, func() { c.settle(t, transport.Done) })",
		after:  "c.settle(t, transport.Done)\n\tc.record(kind, t, more, nil)",
		dir:    "delivery", check: "TestNothingIsSettledBeforeTheLedgerHasConfirmedTheOutcome",
	},
	{
		name: "dead-letter-after-the-settle", defect: "a message is settled before its dead letter or delayed copy is stored",
		file:   "delivery/retry.go",
		before: "\t\t\terr := Send(ctx, c.broker, []*transport.Envelope{e})[0].Err\n\t\t\tif err == nil {\n\t\t\t\tsent()\n\t\t\t\tbreak\n\t\t\t}",
		after:  "\t\t\tif hold == firstHold {\n\t\t\t\tsent()\n\t\t\t}\n\t\t\terr := Send(ctx, c.broker, []*transport.Envelope{e})[0].Err\n\t\t\tif err == nil || ctx.Err() != nil {\n\t\t\t\tbreak\n\t\t\t}",
		dir:    "delivery/simulate", check: "TestNoScheduleBreaksAPromise",
	},
	{
		name: "attempts-forgotten", defect: "a delayed copy does not count the attempt that it follows",
		file: "delivery/retry.go", before: "\te.Attempt = t.attempt + 1\n", after: "\te.Attempt = max(t.attempt, 1)\n",
		dir: "delivery/simulate", check: "TestNoScheduleBreaksAPromise",
	},
	{
		name: "retry-for-all-groups", defect: "a delayed retry goes to every group of the topic",
		file: "delivery/retry.go", before: "\te.Group = c.subscription.group()\n", after: "\te.Group = \"\"\n",
		dir: "delivery/simulate", check: "TestNoScheduleBreaksAPromise",
	},
	{
		name: "key-overtaken", defect: "a message does not wait for the one before it of its key",
		file: "delivery/queue.go", before: "\t\t\tl.behind.push(t)\n\t\t\treturn true\n", after: "\t\t\tq.push(t)\n\t\t\tt.lane = nil\n\t\t\treturn true\n",
		dir: "delivery/simulate", check: "TestNoScheduleBreaksAPromise",
	},
	{
		name: "given-back-alone", defect: "a message is given back to the broker, and those behind it in its key are not",
		file:   "delivery/queue.go",
		before: "out = t.lane.behind.take(out, func(x *task) bool { return x.delivery.Yield == t.delivery.Yield })\n\tq.follow(t)",
		after:  "q.follow(t)",
		dir:    "delivery", check: "TestWhatIsGivenBackTakesAlongWhatIsBehindIt",
	},
	{
		name: "revoked-unheard", defect: "a handler is not told that another instance has its partition",
		file: "delivery/partition.go", before: "\t\t\t\trevoke(ErrRevoked)\n\t\t\t\treturn\n", after: "\t\t\t\t<-ctx.Done()\n\t\t\t\treturn\n",
		dir: "delivery", check: "TestWhatRunsIsToldOnceAnotherHasThePartition",
	},
	{
		name: "given-back-in-doubt", defect: "what fails while it is not certain who has its partition is given back, and what follows overtakes it",
		file: "delivery/retry.go", before: "here && (t.ours() || t.doubtful()) &&", after: "here && t.ours() &&",
		dir: "delivery", check: "TestWhatFailsWhileItsPartitionIsInDoubtWaitsHere",
	},
	{
		name: "stopkey-unread", defect: "the new owner of a partition does not wait until it knows which keys are stopped",
		file: "delivery/attempt.go", before: "if c.stops(t) && !c.stopped.knows(t.delivery.Yield) {", after: "if c.stops(t) && t.attempt < 0 {",
		dir: "delivery/simulate", check: "TestNoScheduleBreaksAPromise",
	},
	{
		name: "stopkey-redriven-in-any-order", defect: "what comes back from the dead letters does not wait for what was before it",
		file: "delivery/stoppedkeys.go", before: "if k == nil || k.order[0] == e.ID {", after: "if k == nil || k.there[e.ID] {",
		dir: "delivery/simulate", check: "TestNoScheduleBreaksAPromise",
	},
	{
		name: "redriven-once-only", defect: "every redrive has the same copy, which the broker swallows",
		file: "delivery/copies.go", before: `return "r" + strconv.Itoa(redrives(of)+1)`, after: `return "r" + strconv.Itoa(min(redrives(of)+1, 1))`,
		dir: "delivery/deliverytest", check: "TestDeliveryOnMemoryKeepsItsPromises/19",
	},
	{
		name: "unknown-is-sent", defect: "a send whose outcome is not known is not repeated",
		file:   "delivery/send.go",
		before: "return err != nil && !errors.Is(err, transport.ErrRefused) && !errors.Is(err, transport.ErrClosed)",
		after:  "return err != nil && errors.Is(err, transport.ErrNotSent) && !errors.Is(err, transport.ErrRefused) && !errors.Is(err, transport.ErrClosed)",
		dir:    "delivery", check: "TestSendRepeatsOnlyWhatIsUnfinishedUntilEachOutcomeIsKnown",
	},

	{
		name: "drop-uncounted", defect: "the ledger drops what it could not write and does not count it",
		file: "ledger/writer.go", before: "\t\tw.dropped += uint64(c.n)\n\t\tw.mu.Unlock()\n\t\tw.fail()\n", after: "\t\tw.mu.Unlock()\n\t\tw.fail()\n",
		dir: "ledger", check: "TestALedgerThatHangsDropsAfterASecondAndComesBack",
	},
	{
		name: "gap-unseen", defect: "the numbers of a process's batches hide that it dropped something",
		file: "ledger/writer.go", before: "\tif w.skip {\n\t\tw.number++\n", after: "\tif w.skip {\n",
		dir: "ledger", check: "TestWhatIsDroppedBetweenTwoBatchesShowsAsAGap",
	},
	{
		name: "recorded-before-stored", defect: "the ledger confirms what it has not stored yet",
		file: "ledger/writer.go", before: "\tif confirmed != nil {\n\t\tc.confirmed = append(c.confirmed, confirmed)\n", after: "\tif confirmed != nil {\n\t\tgo confirmed()\n",
		dir: "delivery/simulate", check: "TestNoScheduleBreaksAPromise",
	},

	{
		name: "copy-left-out", defect: "the in-memory broker takes a copy for a repetition",
		file: "transport/mem/dedupe.go", before: "return identity{e.ID, e.Copy, e.Group}", after: `return identity{e.ID, "", e.Group}`,
		dir: "transport/transporttest", check: "TestMemoryKeepsThePromisesOfABroker/06",
	},
	{
		name: "passed-while-it-runs", defect: "the in-memory broker passes a partition on while something of it is unsettled",
		file: "transport/mem/group.go", before: "if l.shared || l.out > 0 || l.owner == l.heir {", after: "if l.shared || l.owner == l.heir {",
		dir: "delivery/simulate", check: "TestNoScheduleBreaksAPromise",
	},
	{
		name: "given-back-behind", defect: "the in-memory broker puts what is given back behind what is newer",
		file:   "transport/mem/group.go",
		before: "return cmp.Compare(n, r.sequence) })",
		after:  "return cmp.Compare(r.sequence, n) })",
		dir:    "delivery/simulate", check: "TestNoScheduleBreaksAPromise",
	},

	{
		name: "fsync-off", defect: "the embedded server confirms what is not on the disk",
		file: "transport/nats/embedded/launch.go", before: "SyncAlways:         true,", after: "SyncAlways:         false,",
		dir: "transport/nats", check: "TestWhatWasConfirmedSurvivesAPowerLoss", tags: "battery", // needs root
	},
	{
		name: "nats-copy-left-out", defect: "NATS is told the same id for each copy of a message",
		file: "transport/nats/encode.go", before: "\tid := identity(e)\n", after: "\tid := identity(&transport.Envelope{ID: e.ID, Group: e.Group})\n",
		dir: "transport/transporttest", check: "TestEmbeddedNATSInProcessKeepsThePromisesOfABroker/06",
	},
	{
		name: "nats-batch-error-ignored", defect: "a batch that the server refused is confirmed",
		file: "transport/nats/lane.go", before: "\tif f.batch && c.Error != nil {\n\t\tl.split(f)\n\t\treturn\n\t}\n", after: "",
		dir: "transport/nats", check: "TestARepetitionIsStoredOnceAlsoAmongStrangers",
	},
	{
		name: "nats-doubt-among-strangers", defect: "the repetition of an unknown outcome is in a batch with strangers",
		file: "transport/nats/lane.go", before: "i.repeated = l.b.doubts.about(l.stream, i)", after: "i.repeated = l.b.doubts.about(l.stream, i) && l.single",
		dir: "transport/nats", check: "TestTheRepetitionOfAnUnknownOutcomeIsNeverInABatchWithStrangers",
	},
	{
		name: "nats-written-in-any-order", defect: "what was added later may be written earlier",
		file: "transport/nats/lane.go", before: "\tif l.pumping { // and looks again\n", after: "\tif l.pumping && l.flying < 0 {\n",
		dir: "transport/nats", check: "TestWhatIsAddedIsWrittenInItsOrder",
	},
	{
		name: "nats-gives-up", defect: "two refusals of a password end the connection for good",
		file: "transport/nats/connect.go", before: "\t\tnatsio.IgnoreAuthErrorAbort(), // a password may be changed on both sides\n", after: "",
		dir: "transport/nats", check: "TestAPasswordIsAskedForAgainUntilItIsRight",
	},
	{
		name: "nats-half-open-for-minutes", defect: "a connection that went silent is taken for a good one",
		file: "transport/nats/connect.go", before: "natsio.PingInterval(5 * time.Second)", after: "natsio.PingInterval(2 * time.Minute)",
		dir: "transport/transporttest", check: "TestEmbeddedNATSOverLoopbackKeepsThePromisesOfABroker/beside each other/36",
	},
	{
		name: "nats-send-outlives-its-context", defect: "a send over a bad network does not end with its context",
		file: "transport/nats/send.go", before: "\tcase <-ctx.Done():\n\t\tc.abandon(parts, context.Cause(ctx))\n", after: "",
		dir: "transport/transporttest", check: "TestEmbeddedNATSOverLoopbackKeepsThePromisesOfABroker/beside each other/37",
	},
	{
		name: "kafka-hands-out-without-lease", defect: "a thawed process handles what its successor has",
		file: "transport/kafka/receiver.go", before: "\tif !r.valid() {\n", after: "\tif !r.valid() && credit < 0 {\n",
		dir: "transport/kafka", check: "TestNothingIsHandedOutWithoutALease",
	},
	{
		name: "nats-unhandled-swept", defect: "what receivers have in hand is removed with what was acknowledged",
		file: "transport/nats/sweep.go", before: "floor := c.CachedInfo().AckFloor.Stream", after: "floor := c.CachedInfo().Delivered.Stream",
		dir: "transport/nats", check: "TestAQueueKeepsOnlyWhatIsNotHandled",
	},
	{
		name: "nats-other-stream-swept", defect: "what was acknowledged before a server lost its data is removed from what came after",
		file: "transport/nats/sweep.go", before: "\tif !stream.CachedInfo().Created.Equal(created) {\n\t\treturn errReplaced\n\t}\n", after: "\t_ = created\n",
		dir: "transport/nats", check: "TestASweepLeavesAnotherStreamAlone",
	},
	{
		name: "nats-floor-that-went-back", defect: "what nobody has handled is purged up to a floor that went back",
		file: "transport/nats/sweep.go", before: "if stream.CachedInfo().State.FirstSeq <= floor {", after: "if floor < 1<<63 {",
		dir: "transport/nats", check: "TestASweepPurgesNothingUpToAFloorThatWentBack",
	},
	{
		name: "nats-left-by-the-killed", defect: "what a killed receiver has handled stays stored",
		file: "transport/nats/sweep.go", before: "\t\ts.litter.come(s.subject, floor)\n", after: "",
		dir: "transport/nats", check: "TestAQueueKeepsNothingThatAKilledReceiverHandled",
	},
	{
		name: "nats-owner-not-fenced", defect: "a process that was frozen begins what another has taken over",
		file: "transport/nats/lease.go", before: "return sent != nil && elapsed(*sent) < LeaseTTL-leaseMargin", after: "return sent != nil",
		dir: "transport/nats", check: "TestAFrozenProcessBeginsNothingWhenItThaws",
	},

	{
		name: "rabbitmq-ttl-for-a-ladder", defect: "a delayed message waits on one level only, so that it comes too early",
		file: "transport/rabbitmq/delay.go", before: "\t\tbit := n >> k & 1\n", after: "\t\tbit := n >> k & 1\n\t\tif top >= 0 {\n\t\t\tbit = 0\n\t\t}\n",
		dir: "transport/rabbitmq", check: "TestTheLadderWaitsNeverTooShortAndHardlyTooLong",
	},
	{
		name: "rabbitmq-only-the-rest", defect: "what was late already when the mover got it waits all of its rest again",
		file: "transport/rabbitmq/mover.go", before: "\t\t\twait = min(wait, w)\n", after: "\t\t\t_ = w\n",
		dir: "transport/rabbitmq", check: "TestWhatIsLateAlreadyIsDueByTheServersClock",
	},
	{
		name: "rabbitmq-acks-what-runs", defect: "an acknowledgement covers a message whose handler runs",
		file: "transport/rabbitmq/acks.go", before: "n < len(a.states) && a.states[n] != open; n++", after: "n < len(a.states) && a.ahead > 0; n++",
		dir: "transport/rabbitmq", check: "TestAcknowledgementsCoverExactlyWhatIsHandled",
	},
	{
		name: "rabbitmq-many-owners", defect: "a partition has all receivers for its owners",
		file: "transport/rabbitmq/declare.go", before: `t["x-single-active-consumer"] = true`, after: `t["x-single-active-consumer"] = false`,
		dir: "transport/rabbitmq", check: "TestRabbitMQKeepsThePromisesOfABroker/26", server: true,
	},
	{
		name: "rabbitmq-refusal-ignored", defect: "a message that the server did not take is confirmed",
		file: "transport/rabbitmq/send.go", before: "\tcase p.confirmation.acked:\n\t\tp.session.took(p)\n", after: "\tcase p.confirmation.acked, !p.session.ch.IsClosed():\n\t\tp.session.took(p)\n",
		dir: "transport/rabbitmq", check: "TestRabbitMQKeepsThePromisesOfABroker/09", server: true,
	},

	{
		name: "kafka-commit-past-unsettled", defect: "the committed place passes a record that is not settled",
		file: "transport/kafka/lane.go", before: "\tfor n < len(l.entries) && l.entries[n].state == settled {\n\t\tn++\n\t}\n",
		after: "\tfor i := range l.entries {\n\t\tif l.entries[i].state == settled {\n\t\t\tn = i + 1\n\t\t}\n\t}\n",
		dir:   "transport/kafka", check: "TestTheMarkNeverPassesWhatIsNotSettled",
	},
	{
		name: "kafka-revoke-does-not-wait", defect: "a partition passes on while handlers of it run",
		file: "transport/kafka/group.go", before: "\t\tcase <-l.idle:\n\t\tcase <-limit:\n", after: "\t\tcase <-l.yield:\n\t\tcase <-limit:\n",
		dir: "transport/kafka", check: "TestKafkaKeepsThePromisesOfABroker/26", server: true,
	},
	{
		name: "kafka-lease-for-ever", defect: "a member that the cluster has not heard of goes on",
		file: "transport/kafka/lease.go", before: "return now.Sub(*confirmed) < Lease && now.Round(0).Sub(confirmed.Round(0)) < Lease",
		after: "return now.After(confirmed.Add(-Lease))",
		dir:   "transport/kafka", check: "TestALeaseHoldsFromTheLastConfirmedHeartbeat",
	},

	{
		name: "http-begun-is-not-sent", defect: "a request that the peer may have begun is called not sent",
		file: "transport/http/request.go", before: "\te := &transport.Error{Code: transport.Unavailable, NotSent: notSent, Cause: err}\n",
		after: "\te := &transport.Error{Code: transport.Unavailable, NotSent: true, Cause: err}\n",
		dir:   "transport/http", check: "TestNotSentSaysWhetherTheHeaderWasWrittenWhole",
	},

	{
		name: "policy-repeats-everything", defect: "a call that may have been executed is repeated although it is not idempotent",
		file: "policy/retry.go", before: "(e.NotSent || k.r.Idempotent) && !e.NoRetry", after: "!e.NoRetry",
		dir: "policy", check: "TestOnlyWhatMayPassAndIsSafeIsRepeated",
	},
	{
		name: "policy-no-budget", defect: "retries have no budget",
		file: "policy/budget.go", before: "\tif b.tokens < 1 {\n\t\treturn false\n\t}\n\tb.tokens--\n", after: "\tb.tokens--\n",
		dir: "policy", check: "TestABudgetBoundsTheLoadOfRetries",
	},
	{
		name: "policy-permit-leaks", defect: "a breaker's probe that ends keeps its permit",
		file: "policy/breaker.go", before: "\tcase b.state == HalfOpen:\n\t\tb.probing = false\n", after: "\tcase b.state == HalfOpen:\n",
		dir: "policy", check: "TestABreakerProbesOneAtATimeAndIsNeverStuck",
	},

	{
		name: "operation-zombie-goes-on", defect: "an engine whose lease is lost goes on",
		file: "operation/commit.go", before: "\t\tif errors.Is(err, ErrFenced) {\n\t\t\tclose(lost)\n\t\t}\n", after: "",
		dir: "operation", check: "TestAFencedEngineDoesNothingMore",
	},
	{
		name: "operation-undo-forwards", defect: "what was done is undone in the order in which it was done",
		file: "operation/undo.go", before: "for _, name := range slices.Backward(m.rec.Undo) {", after: "for _, name := range slices.All(m.rec.Undo) {",
		dir: "operation", check: "TestABusinessFailureUndoesInReverseAlsoWhatFailed",
	},
	{
		name: "journal-not-fenced", defect: "the in-memory journal takes the writes of a worker whose lease another has",
		file: "store/mem/journal.go", before: "\tif lease != d.now {\n", after: "\tif lease.Journal != d.now.Journal {\n",
		dir: "store/mem", check: "TestTheJournalKeepsAllPromises",
	},
	{
		name: "journal-fsync-off", defect: "SQLite confirms what is not on the disk",
		file: "store/sqlite/open.go", before: `address(file, "synchronous(full)"`, after: `address(file, "synchronous(normal)"`,
		dir: "store/sqlite", check: "TestConnectionsAreSafeAndSmall",
	},
}
