package demo

import (
	"cmp"
	"maps"
	"slices"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/bank/bank"
	"github.com/parley-io/parley/examples/bank/loans"
	"github.com/parley-io/parley/examples/outside"
	"github.com/parley-io/parley/examples/shop/shop"
	"github.com/parley-io/parley/examples/shop/storefront"
)

// Outside is what the outside logs of both companies say, whatever Parley itself says.
type Outside struct {
	*outside.Story
	Joined bool // the late joiner has: it is to handle the whole history
}

// ReadOutside reads the logs in a directory. A line that it does not understand is an error.
func ReadOutside(dir string) (*Outside, error) {
	story, err := outside.Read(dir)
	if err != nil {
		return nil, err
	}
	return &Outside{Story: story}, nil
}

// Receivers are the groups that a message is for; a command's one is "".
func (o *Outside) Receivers(m outside.Message) []string {
	if m.Style == parley.StyleCommand {
		return []string{""}
	}
	return o.groups(m.Address)
}

// groups are those that an event is for.
func (o *Outside) groups(address string) []string {
	switch {
	case address == storefront.OrderPlaced.Address():
		return []string{"warehouse", "mail", "fraud"}
	case address == storefront.Sold.Address() && o.Joined:
		return []string{lateJoiner}
	}
	return bank.Groups(address)
}

// Lost are the messages that were confirmed and that a receiver of theirs has not handled, one for each of those.
func (o *Outside) Lost() []outside.Receipt { return o.Story.Lost(o.groups) }

// Twice is how often something was done that had been done already.
func (o *Outside) Twice() (n int) {
	for _, times := range o.Handled {
		n += times - 1
	}
	return n
}

// Begun are the operations that must come to an end, by their ids: those whose start was confirmed, and those that run
// although whoever asked for them never got to know.
func (o *Outside) Begun() []*outside.Operation {
	begun := slices.DeleteFunc(slices.Collect(maps.Values(o.Operations)), func(x *outside.Operation) bool {
		return !x.Started && len(x.Steps) == 0 && len(x.Ended) == 0
	})
	slices.SortFunc(begun, func(x, y *outside.Operation) int { return cmp.Compare(x.ID, y.ID) })
	return begun
}

// Unfinished are the operations that have begun, and not ended, or not undone what they must undo.
func (o *Outside) Unfinished() []*outside.Operation {
	return slices.DeleteFunc(o.Begun(), Finished)
}

// Finished reports whether an operation has ended, and undone what it must undo.
func Finished(x *outside.Operation) bool {
	undone := func(undo string) bool {
		return slices.ContainsFunc(x.Steps, func(s outside.Step) bool { return s.Name == undo && s.End })
	}
	for _, undo := range x.Undos {
		if !undone(undo) {
			return false
		}
	}
	return len(x.Ended) > 0
}

// Problems are what is wrong with operations, in words: with any of them, once all should be over.
func (o *Outside) Problems() (problems []string) {
	for _, x := range o.Begun() {
		problems = append(problems, x.Problems(stages(x.Address))...)
	}
	return problems
}

// stages are the steps of an operation in the order in which they may begin.
func stages(address string) [][]string {
	switch address {
	case storefront.PlaceOrder.Address():
		return shop.Stages()
	case loans.Decide.Address():
		return bank.Stages()
	}
	return nil
}
