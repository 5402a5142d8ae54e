package demo

import (
	"context"
	"time"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/bank/bank"
	"github.com/parley-io/parley/examples/bank/loans"
	"github.com/parley-io/parley/examples/outside"
)

// The moments of the owner's absence in a story of [FullDuration].
const (
	awayAt = 18 * time.Second
	backAt = 24 * time.Second
)

const (
	// owner is the service of the bank that owns the loans, and applicants those who ask it for them.
	owner      = "loans"
	applicants = "applicants"
)

// firstLoan starts the processes of the bank and waits for the first loan that is decided.
func (s *show) firstLoan(ctx context.Context) error {
	for _, name := range bank.Services() {
		if err := s.bank(name); err != nil {
			return err
		}
	}
	x, err := s.first(ctx, loans.Decide.Address(), "the first loan")
	if err != nil {
		return err
	}
	s.sayf("parley follow "+string(x.ID), "first loan, an operation: 3 checks side by side, 5 lenders, steps")
	return nil
}

// first waits for the first operation of an address that has ended.
func (s *show) first(ctx context.Context, address, what string) (x *outside.Operation, err error) {
	err = s.wait(ctx, startLimit, what, func() bool {
		o, err := s.outside()
		if err != nil {
			return false
		}
		for _, x = range o.Begun() {
			if x.Address == address && Finished(x) {
				return true
			}
		}
		return false
	})
	return x, err
}

// absence stops the owner of the loans, while applicants go on asking for some, and starts it again, also when the story
// is told to end meanwhile.
func (s *show) absence(telling context.Context) error {
	if over(telling) {
		return nil
	}
	before, err := s.outside()
	if err != nil {
		return err
	}
	if err := s.cast.end(owner); err != nil {
		return err
	}
	s.sayf("parley operations list", "%s, the owner of the bank's operations, is stopped", owner)
	asked := func() bool {
		s.meanwhile, err = s.askedSince(before)
		return err != nil || len(s.meanwhile) > 0
	}
	s.until(telling, backAt, nil)
	s.until(telling, lastOrder, asked)
	asked()
	if err != nil {
		return err
	}
	s.queued = len(s.meanwhile)
	if err := s.bank(owner); err != nil || s.queued == 0 {
		return err
	}
	s.sayf("parley wait "+string(s.meanwhile[0]), "%s is started again; meanwhile %d loans were asked for", owner, s.queued)
	return nil
}

// askedSince are the loans whose start was confirmed since an earlier look, and with which nobody has begun.
func (s *show) askedSince(before *Outside) (ids []parley.MessageID, err error) {
	now, err := s.outside()
	if err != nil {
		return nil, err
	}
	for _, x := range now.Begun() {
		earlier := before.Operations[x.ID]
		if x.Address == loans.Decide.Address() && x.Started && len(x.Steps) == 0 && (earlier == nil || !earlier.Started) {
			ids = append(ids, x.ID)
		}
	}
	return ids, nil
}

// lookBack tells when everything that was asked for in the owner's absence has ended.
func (s *show) lookBack() {
	if s.queued == 0 || len(s.meanwhile) == 0 {
		return
	}
	o, err := s.outside()
	if err != nil {
		return // the next look will do
	}
	for _, id := range s.meanwhile {
		if !Finished(o.Operations[id]) {
			return
		}
	}
	s.sayf("parley follow "+string(s.meanwhile[0]), "each of these %d loans is decided", s.queued)
	s.meanwhile = nil
}
