package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/node"
	"github.com/parley-io/parley/operation"
)

const (
	// unknownFor is how long nobody need know an operation that was there: it may be on its way from queue to owner.
	unknownFor = 20 * time.Second
	// awayPause is how long nobody is asked after an owner was not there.
	awayPause = 500 * time.Millisecond
	// repaintEvery is how often the times on a terminal go on.
	repaintEvery = time.Second
)

func newWaitCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "wait ID",
		Short: "Show how an operation goes until it ends, and its result",
		Long: `wait shows what an operation has done, what it waits for and what is left, until its end or until --timeout; then its
result. While the owner of the operation is away, or has not taken the request from its queue, it waits. To give up
changes nothing for the operation.

The exit code is 1 if the operation has failed or was canceled, and 5 if it still runs. Where the output is no terminal,
or with -o jsonl, each change is one line of JSON; -o json prints only the last.`,
		Example: "  parley wait 01981c7e-5d0f-7c3b-9a51-1d2f3a4b5c6d\n  parley wait loan-17 --timeout 30s -o json",
		Args:    words(1, 1),
		RunE: a.on(a.within(0, func(ctx context.Context, s *session, args []string) error {
			remote, err := locate(ctx, s, args[0])
			if err != nil {
				return err
			}
			return a.await(ctx, s, remote.Address, remote.Execution(parley.MessageID(args[0])))
		})),
	}
}

// locate finds the contract of an operation by its id.
func locate(ctx context.Context, s *session, id string) (*parley.Remote, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	remote, err := parley.Locate(ctx, s.client, parley.MessageID(id))
	if parley.CodeOf(err) == parley.NotFound {
		return nil, hint(err, "parley operations list")
	}
	return remote, err
}

// sighting is an operation as it was seen.
type sighting struct {
	status parley.OperationStatus
	away   bool  // its owner can't be asked
	err    error // nothing more will be seen
}

// await shows an operation until it is Done, and then says how it ended.
func (a *app) await(ctx context.Context, s *session, address string, x execution) error {
	p := newProgress(a)
	seen := make(chan sighting)
	asking, stop := context.WithCancel(context.WithoutCancel(ctx)) // its questions are for longer than ctx may last
	var asker sync.WaitGroup
	asker.Go(func() { look(asking, s, x, seen) })
	defer asker.Wait()
	defer stop()
	tick := time.NewTicker(repaintEvery)
	defer tick.Stop()
	last := parley.OperationStatus{ID: x.ID, Name: address}
	for {
		select {
		case <-ctx.Done():
			return errors.Join(goesOn(ctx, last), p.leave(last))
		case <-tick.C:
			if err := p.tick(time.Now()); err != nil {
				return err
			}
		case now := <-seen:
			if now.err != nil {
				return now.err
			}
			last = now.status
			if err := p.show(now, time.Now()); err != nil {
				return err
			}
			if last.Done {
				return errors.Join(p.end(last), ended(last))
			}
		}
	}
}

// look tells what it sees of an operation until that is Done, cannot be seen any more, or ctx is done.
func look(ctx context.Context, s *session, x execution, seen chan<- sighting) {
	tell := func(now sighting) {
		select {
		case seen <- now:
		case <-ctx.Done():
		}
	}
	var last sighting
	var revision int64
	first, unknown := true, time.Time{}
	for ctx.Err() == nil {
		status, err := node.Status(ctx, s.client, x, revision)
		code := parley.CodeOf(err)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			queued := status.Revision == 0
			unknown = time.Time{}
			if first || status.Revision != revision || last.away != queued {
				last = sighting{status: status, away: queued}
				tell(last)
			}
			first, revision = false, status.Revision
			if status.Done {
				return
			}
			if queued {
				rest(ctx, awayPause)
			}
			continue
		case code == parley.NotFound && unknown.IsZero():
			unknown = time.Now()
		case code == parley.NotFound && time.Since(unknown) < unknownFor:
		case code != parley.Unavailable && code != parley.DeadlineExceeded && code != parley.ResourceExhausted && code != parley.Unimplemented:
			tell(sighting{err: hint(err, "parley follow %s", x.ID)})
			return
		case !last.away:
			last.away = true
			last.status.ID = x.ID
			tell(last)
		}
		rest(ctx, awayPause)
	}
}

// goesOn is the end of a wait for an operation that has not ended.
func goesOn(ctx context.Context, s parley.OperationStatus) error {
	f := &failure{exit: exitDeadline, try: "parley wait " + string(s.ID)}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		f.exit = exitInterrupted
		f.err = &parley.Error{Code: parley.Canceled, Address: s.Name, ID: string(s.ID), Message: "nobody waits any more; the operation goes on"}
		return f
	}
	f.err = &parley.Error{Code: parley.DeadlineExceeded, Address: s.Name, ID: string(s.ID), Message: "has not ended in time; it goes on"}
	return f
}

// ended is how an operation ended: nil if it succeeded.
func ended(s parley.OperationStatus) error {
	if s.Status == operation.Succeeded {
		return nil
	}
	return &failure{err: s.Err(), exit: exitFailed, try: fmt.Sprintf("parley follow %s", s.ID)}
}
