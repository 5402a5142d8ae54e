package journaltest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"testing"

	"github.com/parley-io/parley/operation"
)

// Check tries all promises, one after the other, and answers what it finds, joined; nil = all are kept. Each call of
// open gives access to the same data, as another process would get it after the one before has ended: at most one
// journal is open at a time. The data may have other operations in it; those of the suite stay. The suite forgets what
// was Finished before the year 2000.
func Check(ctx context.Context, open func(context.Context) (operation.Journal, error)) error {
	var found []error
	for _, p := range promises {
		if err := p.check(ctx, open); err != nil {
			found = append(found, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(found...)
}

// Run is Check with a subtest for each promise.
func Run(t *testing.T, open func(context.Context) (operation.Journal, error)) {
	t.Helper()
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			if err := p.check(t.Context(), open); err != nil {
				t.Error(err)
			}
		})
	}
}

// promise is a rule with the attempt to break it.
type promise struct {
	name string
	try  func(ctx context.Context, s *scene)
}

// check tries the promise on operations of its own.
func (p promise) check(ctx context.Context, open func(context.Context) (operation.Journal, error)) (err error) {
	s := &scene{open: open, prefix: rand.Text() + "/"}
	defer func() {
		switch r := recover().(type) {
		case nil, stop:
		default:
			s.errorf("got a panic: %v\n%s", r, debug.Stack())
		}
		if s.j != nil {
			if err := s.j.Close(); err != nil {
				s.errorf("Close = %v; want nil", err)
			}
		}
		err = errors.Join(s.found...)
	}()
	s.start(ctx)
	p.try(ctx, s)
	return nil // what was found is answered above
}

// promises are all of them.
var promises = []promise{
	{"a batch with a change that is none is refused as a whole", refused},
	{"a batch is applied in its order", inOrder},
	{"a batch that is repeated changes nothing and says so", repeated},
	{"an ID that is taken answers what has it and stays as it is", existing},
	{"an update changes all but what acceptance has fixed", updated},
	{"an operation that is done stays as it is", done},
	{"an entry that is not final is replaced", replaced},
	{"an entry that is final stays as it is", final},
	{"changes of an operation that does not exist are missing and create nothing", missing},
	{"signals are numbered by name, each ID once", signals},
	{"a lease that is not the last one commits nothing", fenced},
	{"epochs grow and the journal's identity stays", epochs},
	{"Load answers in the order of the ids", loadOrder},
	{"Load has everything of an operation", loadAll},
	{"List joins its conditions by and", listFilter},
	{"List is newest first", listNewest},
	{"pages have no gaps and no doubles while operations are added", listPages},
	{"due are those that are open and have to wake before a time", listDue},
	{"what is forgotten leaves nothing behind", forgotten},
	{"what is committed is there after a restart", durable},
	{"concurrent use loses nothing and shows no half of a batch", concurrent},
	{"times keep their nanoseconds", times},
	{"an error comes back as it went", failures},
	{"an empty body is not the same as none", bodies},
	{"a body of 1 MiB comes back", large},
	{"an ID is any visible ASCII", identifiers},
	{"a text is any bytes", texts},
	{"what is given and what is taken belongs to the caller", owned},
	{"a journal that is closed refuses, and closing twice is fine", closed},
}
