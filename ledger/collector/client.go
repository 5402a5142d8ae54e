package collector

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// Follow asks the collector at peer for a trail; it answers when what is asked for is over, or after wait (0 = at
// once). A wrong or unknown id is a [transport.Error].
func Follow(ctx context.Context, caller transport.Caller, peer, id string, wait time.Duration) (ledger.Trail, error) {
	return ask[ledger.Trail](ctx, caller, peer, FollowAddress, FollowRequest{ID: id, Wait: duration(wait)}, wait)
}

// FollowChange is Follow that answers when the trail has another Revision than since.
func FollowChange(ctx context.Context, caller transport.Caller, peer, id string, since uint64, wait time.Duration) (ledger.Trail, error) {
	return ask[ledger.Trail](ctx, caller, peer, FollowAddress, FollowRequest{ID: id, Wait: duration(wait), Since: since}, wait)
}

// ListFailed asks for the dead letters by cause.
func ListFailed(ctx context.Context, caller transport.Caller, peer string, r FailedRequest) (Failed, error) {
	return ask[Failed](ctx, caller, peer, FailedAddress, r, 0)
}

// ShowFailed asks for the dead letters of one message.
func ShowFailed(ctx context.Context, caller transport.Caller, peer, id string) (Shown, error) {
	return ask[Shown](ctx, caller, peer, ShowAddress, ShowRequest{ID: id}, 0)
}

// BeginRedrive begins a job.
func BeginRedrive(ctx context.Context, caller transport.Caller, peer string, r RedriveRequest) (Job, error) {
	return ask[Job](ctx, caller, peer, RedriveAddress, r, 0)
}

// FollowRedrive asks for a job; it answers when the job is done, or after wait.
func FollowRedrive(ctx context.Context, caller transport.Caller, peer, job string, wait time.Duration) (Job, error) {
	return ask[Job](ctx, caller, peer, RedriveJobAddress, JobRequest{Job: job, Wait: duration(wait)}, wait)
}

// GetStats asks for the statistics.
func GetStats(ctx context.Context, caller transport.Caller, peer string) (Stats, error) {
	return ask[Stats](ctx, caller, peer, StatsAddress, StatsRequest{}, 0)
}

// ask calls a collector. Beside the wait it allows 5 seconds.
func ask[A any](ctx context.Context, caller transport.Caller, peer, address string, request any, wait time.Duration) (A, error) {
	var answer A
	body, err := json.Marshal(request)
	if err != nil {
		return answer, &transport.Error{Code: transport.InvalidArgument, Message: err.Error(), Address: address, NotSent: true, Cause: err}
	}
	ctx, cancel := context.WithTimeout(ctx, wait+5*time.Second)
	defer cancel()
	e, err := caller.Request(ctx, peer, &transport.Envelope{ID: uuid.NewString(), Address: address, ContentType: "application/json", Time: time.Now(), Body: body})
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(e.Body, &answer); err != nil {
		return answer, &transport.Error{Code: transport.Internal, Message: "the collector's answer is not what this program reads", Address: address, Peer: peer, Cause: err}
	}
	return answer, nil
}

func duration(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return d.String()
}
