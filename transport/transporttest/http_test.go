package transporttest_test

import (
	"context"
	"testing"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestHTTPKeepsThePromisesOfACaller(t *testing.T) {
	transporttest.RunCaller(t, transporttest.Target[transporttest.Peers]{
		Name: "http",
		Start: func(context.Context) (transporttest.Peers, func(context.Context) error, error) {
			return transporttest.Peers{
				Open: func(context.Context) (transport.Caller, error) {
					return http.New(http.Options{Listen: "127.0.0.1:0"})
				},
				MaxBytes: 1 << 20,
			}, nil, nil
		},
	}, transporttest.FromEnvironment(t))
}
