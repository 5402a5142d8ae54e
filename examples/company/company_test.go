package company

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAsManyComeAsThePaceSaysAlsoWhereTheyHadToWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var came atomic.Int64
		began := time.Now()
		Workload{PerSecond: 100, For: 2 * time.Second}.People(t.Context(), func(context.Context, string, *rand.Rand) {
			came.Add(1)
			time.Sleep(time.Second) // 64 of 100 in a second
		})
		if took := time.Since(began); came.Load() != 200 || took < 3*time.Second {
			t.Errorf("%d came, in %v; want 200, in more than 3s", came.Load(), took)
		}
	})
}

func TestNobodyComesOnceTheCompanyCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 950*time.Millisecond)
		defer cancel()
		var came atomic.Int64
		Workload{PerSecond: 10}.People(ctx, func(context.Context, string, *rand.Rand) { came.Add(1) })
		if came.Load() != 9 {
			t.Errorf("%d came, want 9", came.Load())
		}
	})
}
