package servers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below what Linux (32768) and others give to outgoing connections: a server that is away must
// find its port free when it comes back, and clients that try to reach it meanwhile would get it as their own.
const (
	firstPort = 18000
	lastPort  = 32000
)

const host = "127.0.0.1"

// freePorts are n different ports that nobody listens at on the loopback. They are drawn at random, so that processes
// that look for some at the same moment hardly ever find the same.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var found []int
	for range 100 * n {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address(port))
		if err != nil {
			continue
		}
		defer l.Close() //nolint:errcheck // held until all are found, so that they differ
		if found = append(found, port); len(found) == n {
			return found, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("no %d free ports on %s between %d and %d", n, host, firstPort, lastPort), ctx.Err())
}

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
