package nats_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/parley-io/parley/transport/nats/embedded"
)

const serveToken = "a-token-of-some-length"

// serve is a child process: a broker that says its URL, until ctx is done.
func serve(ctx context.Context, dir, listen string) error {
	s, err := embedded.Start(ctx, embedded.Options{Dir: dir, Listen: strings.TrimPrefix(listen, "nats://"), Token: serveToken})
	if err != nil {
		return err
	}
	fmt.Println(s.URL())
	<-ctx.Done()
	return s.Close(context.WithoutCancel(ctx))
}
