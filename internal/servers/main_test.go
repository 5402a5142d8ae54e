package servers_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"github.com/parley-io/parley/internal/servers"
)

// parentVariable makes this program one that starts a server of the kind it names, tells its record, and waits to be killed.
const parentVariable = "PARLEY_SERVERS_TEST_PARENT"

func TestMain(m *testing.M) {
	if kind := os.Getenv(parentVariable); kind != "" {
		if err := parent(servers.Kind(kind)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

func parent(kind servers.Kind) error {
	s, err := servers.Start(context.Background(), kind, servers.Options{})
	if err != nil {
		return err
	}
	r, err := s.Record()
	if err != nil {
		return err
	}
	if err := json.MarshalWrite(os.Stdout, r); err != nil {
		return err
	}
	fmt.Println()
	select {}
}
