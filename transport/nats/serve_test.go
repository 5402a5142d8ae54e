package nats_test

import (
	"context"
	"fmt"

	"github.com/parley-io/parley/transport/nats/embedded"
)

const serveToken = "a-token-of-some-length"

// serve is a child process: a broker that says its URL, until ctx is done.
func serve(ctx context.Context, dir string) error {
	s, err := embedded.Start(ctx, embedded.Options{Dir: dir, Listen: "127.0.0.1:0", Token: serveToken})
	if err != nil {
		return err
	}
	fmt.Println(s.URL())
	<-ctx.Done()
	return s.Close(context.WithoutCancel(ctx))
}
