package demo

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory is what processes need together, in bytes: memory that several of them share is counted once (PSS). Only
// Linux tells that; elsewhere it is an error. A process that has ended needs nothing.
func memory(pids []int) (total int64, err error) {
	known := false
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
				kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
				if err != nil {
					return 0, fmt.Errorf("memory of process %d: %w", pid, err)
				}
				total, known = total+kib<<10, true
			}
		}
	}
	if !known {
		return 0, fmt.Errorf("this system does not tell the memory of %d processes", len(pids))
	}
	return total, nil
}
