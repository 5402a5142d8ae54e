package parley_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/parley-io/parley"
)

func TestAnOperationThatNobodyCouldBeAskedAboutIsNotUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, "guest")
		if _, err := parley.Locate(t.Context(), c, "x"); parley.CodeOf(err) != parley.NotFound {
			t.Errorf("Locate of an unknown id = %v; want NotFound", err)
		}
		over, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		if _, err := parley.Locate(over, c, "x"); parley.CodeOf(err) != parley.DeadlineExceeded {
			t.Errorf("Locate without time = %v; want DeadlineExceeded", err)
		}
		if _, err := parley.Locate(t.Context(), newWorld(t).client("guest"), "x"); parley.CodeOf(err) != parley.Unavailable {
			t.Errorf("Locate without an owner and without a collector = %v; want Unavailable", err)
		}
	})
}
