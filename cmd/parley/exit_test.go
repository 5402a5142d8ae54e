package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
)

func TestEveryErrorHasItsExitCode(t *testing.T) {
	t.Parallel()
	of := func(code parley.Code) error { return &parley.Error{Code: code} }
	for _, c := range []struct {
		what string
		err  error
		want int
	}{
		{"nothing", nil, 0},
		{"an error of nobody's", errors.New("x"), 1},
		{"a declared error", &parley.Error{Code: parley.FailedPrecondition, Name: "shop.v1.closed"}, 1},
		{"the remote refuses the body", of(parley.InvalidArgument), 1},
		{"internal", of(parley.Internal), 1},
		{"unknown", of(parley.Unknown), 1},
		{"a code of a newer version", of("brand-new"), 1},
		{"the body does not fit the contract", &parley.Error{Code: parley.InvalidArgument, NotSent: true}, 2},
		{"usage", usage(errors.New("x")), 2},
		{"usage, explained", hint(usage(errors.New("x")), "parley"), 2},
		{"not found", of(parley.NotFound), 3},
		{"nobody handles it", of(parley.Unimplemented), 3},
		{"nothing at the broker", fmt.Errorf("group: %w", transport.ErrNotFound), 3},
		{"who are you?", of(parley.Unauthenticated), 4},
		{"you may not", of(parley.PermissionDenied), 4},
		{"too late", of(parley.DeadlineExceeded), 5},
		{"too late, without a code", fmt.Errorf("wait: %w", context.DeadlineExceeded), 5},
		{"unreachable", of(parley.Unavailable), 6},
		{"no collector", fmt.Errorf("follow: %w", parley.ErrNoCollector), 6},
		{"overloaded", of(parley.ResourceExhausted), 6},
		{"it exists", of(parley.AlreadyExists), 7},
		{"a conflict", of(parley.Aborted), 7},
		{"another parley dev", fmt.Errorf("node: %w", network.ErrRunning), 7},
		{"given up", of(parley.Canceled), 130},
		{"interrupted", fmt.Errorf("wait: %w", context.Canceled), 130},
		{"a failure with a code of its own", &failure{err: of(parley.NotFound), exit: 1}, 1},
		{"a failure around one", hint(of(parley.NotFound), "parley ps"), 3},
		{"the first of several", errors.Join(of(parley.Unavailable), errors.New("x")), 6},
	} {
		if got := exitOf(c.err); got != c.want {
			t.Errorf("exit code of %s = %d, want %d", c.what, got, c.want)
		}
	}
}

func TestEveryCodeHasAnExitCodeThatTheHelpExplains(t *testing.T) {
	t.Parallel()
	for _, code := range []parley.Code{
		parley.Canceled, parley.InvalidArgument, parley.DeadlineExceeded, parley.NotFound, parley.AlreadyExists,
		parley.PermissionDenied, parley.Unauthenticated, parley.ResourceExhausted, parley.FailedPrecondition,
		parley.Aborted, parley.Unimplemented, parley.Unavailable, parley.Internal, parley.Unknown,
	} {
		if codes[code] == 0 {
			t.Errorf("code %s has exit code 0, want one that says that it failed", code)
		}
	}
}

func TestWhatIsInterruptedSaysSoWhateverItFailedWith(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := explain(ctx, &parley.Error{Code: parley.Unavailable}).Exit; got != exitInterrupted {
		t.Errorf("exit code of an interrupted call = %d, want %d", got, exitInterrupted)
	}
	if got := explain(ctx, errors.New("the demo lost a message")).Exit; got != exitFailed {
		t.Errorf("exit code of an outcome that came with the end = %d, want %d", got, exitFailed)
	}
}
