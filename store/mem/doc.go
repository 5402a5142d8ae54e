// Package mem keeps the journal of operations in the memory of the process, for tests and as the reference of what a
// journal does. It does no I/O and reads no clock, so that it works inside of bubbles of testing/synctest.
package mem
