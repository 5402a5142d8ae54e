package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/ledger/collector"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/policy"
	"github.com/parley-io/parley/transport/fault"

	"github.com/parley-io/parley/examples/outside"
)

// view is what the demo sees of the network, and does to it, like anybody beside it.
type view struct {
	net    *parley.Network
	client *parley.Client
}

// askLimit bounds one question, so that one that is asked of a killed process is soon asked again.
const askLimit = 5 * time.Second

// look opens the network of a parley dev.
func look(ctx context.Context, dev network.Runtime) (*view, error) {
	// WithListen: nothing of the user's environment is for the demo.
	net, err := network.Open(ctx, dev.Open, network.WithSource("demo"), network.WithFaults(), network.WithListen("127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	client, err := parley.NewClient("demo", net)
	if err != nil {
		return nil, errors.Join(err, net.Close(ctx))
	}
	return &view{net, client}, nil
}

// there reports whether each of some services has an instance.
func (v *view) there(services ...string) bool {
	return !slices.ContainsFunc(services, func(s string) bool { return len(v.instances(s)) == 0 })
}

// instances are the ids of those of a service.
func (v *view) instances(service string) (ids []string) {
	for _, i := range v.net.Directory.Instances() {
		if i.Service == service {
			ids = append(ids, i.ID)
		}
	}
	return ids
}

// breakers notes in seen how often the breakers of each instance of a service towards another one have opened and
// closed, and counts those that are not closed now.
func (v *view) breakers(ctx context.Context, service, callee string, seen map[string]Breaker) (open int) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	for _, i := range v.net.Directory.Instances() {
		if i.Service != service {
			continue
		}
		d, err := parley.DescribeInstance(ctx, v.client, i)
		if err != nil {
			continue // it has ended, and others do not know yet
		}
		for _, b := range d.Breakers {
			if b.Service != callee {
				continue
			}
			seen[i.ID+" "+b.Peer] = Breaker{int(b.Opened), int(b.Closed)}
			if b.State != policy.Closed {
				open++
			}
		}
	}
	return open
}

// failed are the dead letters that are open.
func (v *view) failed(ctx context.Context) (collector.Failed, error) {
	peer, err := v.collector()
	if err != nil {
		return collector.Failed{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return collector.ListFailed(ctx, v.net.Calls, peer, collector.FailedRequest{})
}

// redrive redrives all dead letters of a cause and waits until each has its outcome.
func (v *view) redrive(ctx context.Context, cause collector.Cause) (collector.Job, error) {
	peer, err := v.collector()
	if err != nil {
		return collector.Job{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 4*askLimit)
	defer cancel()
	job, err := collector.BeginRedrive(ctx, v.net.Calls, peer, collector.RedriveRequest{Cause: collector.CauseName(cause.Key), By: "demo"})
	for err == nil && job.State != collector.JobDone && job.State != collector.JobInterrupted {
		job, err = collector.FollowRedrive(ctx, v.net.Calls, peer, job.ID, askLimit)
	}
	return job, err
}

// deadLetters are how many of some messages have become dead letters, by their trails, and how many of those were
// redriven since. Those whose records are missing count as neither.
func (v *view) deadLetters(ctx context.Context, messages []outside.Message) (dead, redriven int, err error) {
	var mu sync.Mutex
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(8)
	for _, m := range messages {
		asking.Go(func() error {
			trail, err := v.client.Follow(ctx, m.ID)
			if RecordsMissing(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("follow %s: %w", m.ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, hop := range trail.Hops {
				for _, r := range hop.Receivers {
					if hop.ID != string(m.ID) || r.Redriven == 0 && r.State != ledger.DeadLetter {
						continue
					}
					if dead++; r.State != ledger.DeadLetter {
						redriven++
					}
				}
			}
			return nil
		})
	}
	return dead, redriven, asking.Wait()
}

// RecordsMissing reports whether a Follow or an Await found nothing, where that may be because the ledger has gaps.
func RecordsMissing(err error) bool {
	e, ok := errors.AsType[*parley.Error](err)
	return ok && e.Name == collector.RecordsMissing
}

// faults replaces the faults of the network; none ends them.
func (v *view) faults(ctx context.Context, rules ...string) error {
	var set []fault.Rule
	for _, text := range rules {
		parsed, err := fault.Parse(text)
		if err != nil {
			return err
		}
		set = append(set, parsed...)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*askLimit)
	defer cancel()
	return network.SetFaults(ctx, v.net, set)
}

func (v *view) collector() (peer string, err error) {
	peers := v.net.Directory.Peers(collector.FollowAddress)
	if len(peers) == 0 {
		return "", errors.New("nothing collects the ledger of " + v.net.Name)
	}
	return peers[0], nil
}
