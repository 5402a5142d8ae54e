// Package collector reads the ledger of a network and its dead letters, and answers what became of each message.
//
// A [Collector] replays both streams from their start, so it may begin late, restart and run more than once on a
// network: it keeps nothing that the streams do not have, but its redrive jobs. Its answers are plain endpoints that
// any transport.Caller serves:
//
//	parley.v1.follow       GET  /v1/messages/{id}?wait=20s   a ledger.Trail
//	parley.v1.failed       GET  /v1/failed                   dead letters by cause
//	parley.v1.failed-show  GET  /v1/failed/{id}              the dead letters of one message, with bodies
//	parley.v1.redrive      POST /v1/redrives                 begins a job
//	parley.v1.redrive-job  GET  /v1/redrives/{job}?wait=20s  its progress and outcome
//	parley.v1.stats        GET  /v1/stats                    counts, drops and gaps
package collector
