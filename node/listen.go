package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// freeAddress is where HTTP is to listen: as wanted, or, where nobody wanted anything, the first free port from that
// of [DefaultHTTP] on, with a notice if it is another. The port is free a moment before it is taken for good; whoever
// takes it in between makes the start fail with a clear error.
func freeAddress(ctx context.Context, wanted string) (address, notice string, err error) {
	if wanted != "" {
		address, err = probe(ctx, wanted)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("HTTP address %s: another process has this port: stop it, or choose another (port 0 takes a free one): %w", wanted, err)
		}
		return address, "", err
	}
	host, port, err := net.SplitHostPort(DefaultHTTP)
	if err != nil {
		return "", "", err
	}
	first, err := strconv.Atoi(port)
	if err != nil {
		return "", "", err
	}
	for n := first; n < first+portsTried; n++ {
		address, err = probe(ctx, net.JoinHostPort(host, strconv.Itoa(n)))
		switch {
		case err == nil && n == first:
			return address, "", nil
		case err == nil:
			return address, fmt.Sprintf("port %d is busy; HTTP is on port %d", first, n), nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return "", "", err
		}
	}
	return "", "", fmt.Errorf("HTTP address: ports %d to %d of %s are busy; choose one: %w", first, first+portsTried-1, host, err)
}

// brokerAddress is where the broker is to listen: as wanted, else where it last did, else anywhere.
func brokerAddress(ctx context.Context, wanted, last string) string {
	if wanted == "" && last != "" {
		if _, err := probe(ctx, last); err == nil {
			wanted = last
		}
	}
	return cmp.Or(wanted, "127.0.0.1:0")
}

// probe takes an address and gives it free at once; port 0 becomes the one that was free.
func probe(ctx context.Context, address string) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
