package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport/transporttest"
)

// child starts a process that writes to file, and reads n confirmations of it.
func child(t *testing.T, file, round string, n int) (cmd *exec.Cmd, confirmed func() (last int64)) {
	t.Helper()
	cmd = transporttest.Child(context.WithoutCancel(t.Context()), file, round)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	last := int64(0)
	next := func() bool {
		if !lines.Scan() {
			return false
		}
		last, err = strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			t.Fatalf("the child said %q; want a number", lines.Text())
		}
		return true
	}
	for range n {
		if !next() {
			t.Fatalf("the child ended after %d batches: %v", last, cmd.Wait())
		}
	}
	return cmd, func() int64 {
		for next() { // what it said before its end
		}
		return last
	}
}

func TestWhatIsConfirmedSurvivesKillsAndNothingIsThereInHalf(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal.db")
	const kills = 20
	confirmed := map[string]int64{}
	for k := range kills {
		round := fmt.Sprintf("round-%d", k)
		cmd, rest := child(t, file, round, 1+rand.IntN(15))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		confirmed[round] = rest()
		_ = cmd.Wait() // says that it was killed

		j, _ := open(t, file, Options{}) // at once: nobody waits for a lock
		checkRound(t, j, round, confirmed[round])
		if err := j.Close(); err != nil {
			t.Fatalf("Close = %v; want nil", err)
		}
	}
	j, _ := open(t, file, Options{})
	for round, last := range confirmed { // also what was there before later kills
		checkRound(t, j, round, last)
	}
}

// checkRound looks at what a process has left that had confirmed the batches up to last.
func checkRound(t *testing.T, j *journal, round string, last int64) {
	t.Helper()
	found, err := j.Load(t.Context(), round)
	if err != nil || len(found) != 1 {
		t.Fatalf("Load(%s) = %d operations, %v; want the count of its batches", round, len(found), err)
	}
	there := found[0].Revision
	if there < last || there > last+1 {
		t.Errorf("%s has %d batches; want the %d that were confirmed, and one more at the most", round, there, last)
	}
	checkBatches(t, j, round, there)
}

// checkBatches looks whether the batches up to last are there whole, and nothing of the next one.
func checkBatches(t *testing.T, j *journal, round string, last int64) {
	t.Helper()
	var ids []string
	for n := int64(1); n <= last; n++ {
		ids = append(ids, roundID(round, n, "a"), roundID(round, n, "b"))
	}
	found, err := j.Load(t.Context(), ids...)
	if err != nil || len(found) != len(ids) {
		t.Fatalf("Load = %d operations of %s, %v; want %d", len(found), round, err, len(ids))
	}
	for i, o := range found {
		if entries, signals := 1-i%2, i%2; len(o.Entries) != entries || len(o.Signals) != signals {
			t.Errorf("%s has %d entries and %d signals; want %d and %d", o.ID, len(o.Entries), len(o.Signals), entries, signals)
		}
	}
	found, err = j.Load(t.Context(), roundID(round, last+1, "a"), roundID(round, last+1, "b"))
	if err != nil || len(found) != 0 {
		t.Errorf("Load = %d operations of a batch that is not counted, %v; want none", len(found), err)
	}
}

func TestASecondProcessFailsAtOnceAndIsTold(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal.db")
	cmd, rest := child(t, file, "round", 1)
	_, err := Open(t.Context(), file, Options{})
	want := []string{file, "process " + strconv.Itoa(cmd.Process.Pid) + " has it open", "one process", "a file of its own"}
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("Open = %v; want an error with %q", err, w)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	rest()
	_ = cmd.Wait()           // says that it was killed
	open(t, file, Options{}) // fails the test if it can't
}
