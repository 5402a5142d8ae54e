package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/parley-io/parley/internal/filelock"
)

// Ports are taken from below what Linux (32768) and others give to outgoing connections: a server that is away must
// find its port free when it comes back, and clients that try to reach it meanwhile would get it as their own.
const (
	firstPort = 18000
	lastPort  = 32000
	blockSize = 50
)

const host = "127.0.0.1"

// block are ports that are this process's as long as it lives. Kafka binds its ports seconds after they were found free:
// of two processes that look for some at that time, both would find the same.
var block struct {
	sync.Mutex
	next, end int
	locks     []func() error // to release them, which nobody does; a lock ends where nothing refers to it any more
}

// freePorts are n ports that nobody listens at on the loopback and that nobody else gets, here or in another process.
func freePorts(ctx context.Context, n int) (found []int, err error) {
	block.Lock()
	defer block.Unlock()
	for len(found) < n {
		if block.next == block.end {
			if block.next, err = reserve(); err != nil {
				return nil, err
			}
			block.end = block.next + blockSize
		}
		port := block.next
		block.next++
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address(port))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		found = append(found, port)
	}
	return found, nil
}

// reserve is the first port of a block that nobody has. block is locked.
func reserve() (int, error) {
	dir, err := cache()
	if err != nil {
		return 0, err
	}
	dir = filepath.Join(dir, "ports")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return 0, err
	}
	for port := firstPort; port < lastPort; port += blockSize {
		release, err := filelock.Lock(filepath.Join(dir, strconv.Itoa(port)))
		if _, held := errors.AsType[*filelock.Held](err); held {
			continue
		}
		block.locks = append(block.locks, release)
		return port, err
	}
	return 0, fmt.Errorf("other processes have all ports between %d and %d; the locks are in %s", firstPort, lastPort, dir)
}

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
