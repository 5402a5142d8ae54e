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

// listen takes the port of HTTP: as wanted, or, where nobody wanted anything, the first free one from that of
// [DefaultHTTP] on, with a notice if it is another.
func listen(ctx context.Context, wanted string) (l net.Listener, notice string, err error) {
	if wanted != "" {
		l, err = take(ctx, wanted)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("HTTP address %s: another process has this port: stop it, or choose another (port 0 takes a free one): %w", wanted, err)
		}
		return l, "", err
	}
	host, port, err := net.SplitHostPort(DefaultHTTP)
	if err != nil {
		return nil, "", err
	}
	first, err := strconv.Atoi(port)
	if err != nil {
		return nil, "", err
	}
	for n := first; n < first+portsTried; n++ {
		l, err = take(ctx, net.JoinHostPort(host, strconv.Itoa(n)))
		switch {
		case err == nil && n == first:
			return l, "", nil
		case err == nil:
			return l, fmt.Sprintf("port %d is busy; HTTP is on port %d", first, n), nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return nil, "", err
		}
	}
	return nil, "", fmt.Errorf("HTTP address: ports %d to %d of %s are busy; choose one: %w", first, first+portsTried-1, host, err)
}

// brokerAddress is where the broker is to listen: as wanted, else where it last did if that is free a moment before, else
// anywhere.
func brokerAddress(ctx context.Context, wanted, last string) string {
	if wanted == "" && last != "" {
		if l, err := take(ctx, last); err == nil {
			_ = l.Close() // the broker will say if it cannot take it again
			wanted = last
		}
	}
	return cmp.Or(wanted, "127.0.0.1:0")
}

func take(ctx context.Context, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}
