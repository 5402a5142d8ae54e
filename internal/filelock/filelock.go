// Package filelock makes one process the owner of something on disk, for as long as the process lives: the operating
// system ends the lock with it, so a restart waits for nothing.
package filelock

// Held is the error of a lock that another one has.
type Held struct {
	Owner string // in words: "process 4711"
}

func (h *Held) Error() string { return h.Owner + " has the lock" }
