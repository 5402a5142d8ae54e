package main

import (
	"context"
	"fmt"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/node"
)

// kept is a line about what an embedded broker keeps; "" where the broker is elsewhere.
func (a *app) kept(ctx context.Context, s *session) string {
	k, err := collected(ctx, s, func(peer string) (node.Kept, error) { return node.GetKept(ctx, s.net.Calls, peer) })
	switch code := parley.CodeOf(err); {
	case code == parley.NotFound || code == parley.Unimplemented || code == parley.Unavailable:
		return "" // elsewhere, or in a process that tells nothing
	case err != nil:
		a.note("warning: what the broker keeps is unknown: %v", err)
		return ""
	case k.Trouble != "":
		a.note("warning: the broker stores nothing: %s", k.Trouble)
	}
	text := fmt.Sprintf("broker: embedded, keeps %s of at most %s in %s", size(k.Bytes), size(k.Limit), plural(int(k.Messages), "message"))
	if k.Free >= 0 {
		text += fmt.Sprintf("; the disk has %s left", size(k.Free))
	}
	return text
}

// size is a number of bytes as people read it.
func size(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	x, i := float64(n), 0
	for ; x >= 1024 && i < len(units)-1; i++ {
		x /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", x, units[i])
}
