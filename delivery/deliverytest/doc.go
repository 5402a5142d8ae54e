// Package deliverytest is the promises that package delivery adds to a broker, as a program: attempts, panics, dead
// letters, redrive, the schedule of retries. It is the second half of package transporttest, with the same numbers, and
// is tried on the same targets: a broker under delivery keeps them, or says why not.
package deliverytest
