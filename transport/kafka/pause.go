package kafka

import (
	"math/rand/v2"
	"time"
)

// What is tried again is so after these, the first one doubling with each time. The longest is the most that anything is
// late when a cluster comes back; one that is away costs each client a connection that is refused, so often.
const (
	tryAgain    = 100 * time.Millisecond
	maxTryAgain = time.Second
)

func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// retryPause is how long the client waits before its n-th try to reach the cluster again.
func retryPause(n int) time.Duration {
	return jitter(min(tryAgain<<min(n, 10), maxTryAgain))
}
