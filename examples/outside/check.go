package outside

import (
	"fmt"
	"slices"
	"strings"
)

// undoing is what the names of undos begin with.
const undoing = "undo:"

// Problems are what is wrong with an operation that should be over, in words: it was lost, it ended otherwise than
// expected, a step of a stage began again although one of a later stage or an undo had begun, or an undo ran, or did not,
// where it should not, or should. What a step keeps is durable before a later step begins, and not before the code goes on:
// so a step of the last stage may begin again after the end of the code, if the process was killed just then. stages
// are the operation's steps in the order in which they may begin; those of one stage run side by side, and what follows
// a '.' in a step's name is not a part of it here: "offers.2" is "offers".
func (o *Operation) Problems(stages [][]string) (problems []string) {
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("operation %s: ", o.ID)+fmt.Sprintf(format, args...))
	}
	switch {
	case len(o.Ended) == 0 && (o.Started || len(o.Steps) > 0):
		bad("it was started, and has not ended")
	case len(o.Ended) > 1:
		bad("it has ended more than once: %s", strings.Join(o.Ended, ", "))
	case len(o.Ended) == 1 && o.Expected != "" && o.Ended[0] != o.Expected:
		bad("it has ended with %s, want %s", o.Ended[0], o.Expected)
	}
	last := -1 // the stage of the latest step that has begun
	undone := make(map[string]bool)
	undos := false // one has begun
	for _, s := range o.Steps {
		name, _, _ := strings.Cut(s.Name, ".")
		stage := slices.IndexFunc(stages, func(names []string) bool { return slices.Contains(names, name) })
		undo := strings.HasPrefix(s.Name, undoing)
		switch {
		case undo && s.End:
			undone[s.Name] = true
		case undo:
			undos = true
			if o.Expected != "" && !slices.Contains(o.Undos, s.Name) {
				bad("%s has begun, and nothing was to be undone", s.Name)
			}
		case stage < 0:
			bad("the step %s is of no stage", s.Name)
		case s.End:
		case undos:
			bad("the step %s has begun after an undo", s.Name)
		case stage < last:
			bad("the step %s has begun again after a later one", s.Name)
		default:
			last = stage
		}
	}
	for _, undo := range o.Undos {
		if len(o.Ended) > 0 && !undone[undo] {
			bad("%s has not run, and should have", undo)
		}
	}
	return problems
}
