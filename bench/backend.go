package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-io/parley"
)

// workTime is how long a service is busy with its part of a story.
const workTime = 20 * time.Millisecond

// backend is everything behind the caller of both stories: the services that work, and those that carry a story out. It
// writes what was really done to a log outside of Parley.
type backend struct {
	*service
	client *parley.Client
	log    *os.File
	joins  string // directory of what is known of loans whose checks come as events
}

func startBackend(ctx context.Context, s setup) (actor, string, error) {
	n, err := openNetwork(ctx, s.URL+"&journal="+url.QueryEscape(s.Dir), "backend")
	if err != nil {
		return nil, "", err
	}
	b := &backend{joins: filepath.Join(s.Dir, "joins")}
	b.client, err = newClient("backend", n)
	if err == nil {
		b.log, err = os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	}
	if err != nil {
		return nil, "", errors.Join(err, n.Close(ctx))
	}
	if b.service, err = runService(ctx, n, b.client, append(b.shop(), b.bank()...)...); err != nil {
		return nil, "", errors.Join(err, b.log.Close())
	}
	return b, "", nil
}

func (b *backend) close(ctx context.Context) error {
	return errors.Join(b.service.close(ctx), b.log.Close())
}

// What the log says of a piece.
const (
	wordBegun = "begun"
	wordDone  = "done"
)

// begins is the first part of a story.
func (b *backend) begins(ctx context.Context, p piece) (piece, error) {
	if err := b.note(wordBegun, p); err != nil {
		return p, err
	}
	return b.works(ctx, p)
}

func (b *backend) works(ctx context.Context, p piece) (piece, error) {
	t := time.NewTimer(workTime)
	defer t.Stop()
	select {
	case <-t.C:
		return p, nil
	case <-ctx.Done():
		return p, context.Cause(ctx)
	}
}

// ends is the last part of a story.
func (b *backend) ends(ctx context.Context, p piece) (piece, error) {
	if p, err := b.works(ctx, p); err != nil {
		return p, err
	}
	return p, b.note(wordDone, p)
}

func (b *backend) note(word string, p piece) error {
	_, err := fmt.Fprintf(b.log, "%s %s %d\n", word, p.ID, time.Now().UnixNano())
	return err
}

// through hands a story's code the client.
func (b *backend) through(f func(context.Context, *parley.Client, piece) (piece, error)) func(context.Context, piece) (piece, error) {
	return func(ctx context.Context, p piece) (piece, error) { return f(ctx, b.client, p) }
}

// later is a handler of messages that does what a handler of calls does.
func later(f func(context.Context, piece) (piece, error)) func(context.Context, piece) error {
	return func(ctx context.Context, p piece) error {
		_, err := f(ctx, p)
		return err
	}
}

// then does f and publishes what comes next in a chain of events. Its id follows from the piece, so that doing it
// again publishes nothing new.
func (b *backend) then(f func(context.Context, piece) (piece, error), next *parley.Event[piece]) func(context.Context, piece) error {
	return func(ctx context.Context, p piece) error {
		if _, err := f(ctx, p); err != nil {
			return err
		}
		_, err := next.Publish(ctx, b.client, p, parley.WithID(parley.MessageID(p.ID+"."+next.Address()+p.Check)))
		return err
	}
}

func (b *backend) shop() []parley.Registration {
	return []parley.Registration{
		shopReserve.Handle(b.begins), shopCharge.Handle(b.works), shopTell.Handle(b.ends),
		shopNow.Handle(b.through(carryOutOrder)),
		shopLater.Handle(later(b.through(carryOutOrder))),
		shopOrder.Handle(1, b.through(carryOutOrder)),
		shopOrdered.Subscribe("stock", b.then(b.begins, shopReserved)),
		shopReserved.Subscribe("billing", b.then(b.works, shopCharged)),
		shopCharged.Subscribe("mail", later(b.ends)),
	}
}

func (b *backend) bank() []parley.Registration {
	all := []parley.Registration{
		bankCheck.Handle(b.begins), bankPayOut.Handle(b.ends),
		bankNow.Handle(b.through(carryOutLoan)),
		bankLater.Handle(later(b.through(carryOutLoan))),
		bankDecide.Handle(1, b.through(carryOutLoan)),
		bankChecked.Subscribe("decider", b.join),
		bankGranted.Subscribe("treasury", later(b.ends)),
	}
	for _, check := range checks {
		publish := b.then(b.begins, bankChecked)
		all = append(all, bankApplied.Subscribe(check, func(ctx context.Context, p piece) error {
			return publish(ctx, piece{ID: p.ID, Check: check})
		}))
	}
	return all
}

// join decides once all checks of a loan are known. Events have no place where that is kept, so the decider needs one of
// its own that survives it: a file for each check.
func (b *backend) join(ctx context.Context, p piece) error {
	dir := filepath.Join(b.joins, p.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(p.Check)), nil, 0o600); err != nil {
		return err
	}
	known, err := os.ReadDir(dir)
	if err != nil || len(known) < len(checks) {
		return err
	}
	_, err = bankGranted.Publish(ctx, b.client, piece{ID: p.ID}, parley.WithID(parley.MessageID(p.ID+".granted")))
	return err
}
