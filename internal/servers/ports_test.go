package servers

import (
	"runtime"
	"slices"
	"sync"
	"testing"
)

func TestAPortIsGivenOnce(t *testing.T) {
	t.Parallel()
	const takers, each = 20, blockSize / 5 // several blocks
	var (
		wg  sync.WaitGroup
		got [takers][]int
	)
	for i := range takers {
		wg.Go(func() {
			ports, err := freePorts(t.Context(), each)
			if err != nil {
				t.Error(err)
			}
			got[i] = ports
		})
	}
	wg.Wait()
	all := slices.Sorted(slices.Values(slices.Concat(got[:]...)))
	if n := len(slices.Compact(slices.Clone(all))); n != takers*each {
		t.Errorf("%d different ports of %d; want each once: %v", n, takers*each, all)
	}
	if all[0] < firstPort || all[len(all)-1] >= lastPort {
		t.Errorf("got ports from %d to %d; want them between %d and %d", all[0], all[len(all)-1], firstPort, lastPort)
	}
}

func TestNoOtherProcessGetsTheSameBlockOfPorts(t *testing.T) {
	t.Parallel()
	block.Lock()
	defer block.Unlock()
	first, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC() // which would close a file that is forgotten
	runtime.GC()
	second, err := reserve() // a lock is of the open file, so that this is what another process would get
	if err != nil || second == first {
		t.Errorf("reserve = %d, %v, and before that %d; want another block", second, err, first)
	}
}
