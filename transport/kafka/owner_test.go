package kafka_test

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport/kafka"
)

// owner is a user who may do everything on a server with users, and whose password is changed while it runs.
type owner struct {
	server *servers.Server

	mu       sync.Mutex
	password string
	told     string // what who asks is told, which is an older one for a while
}

// newOwner makes the user.
func newOwner(ctx context.Context, s *servers.Server) (*owner, error) {
	o := &owner{server: s}
	return o, o.change(ctx, true)
}

// change gives the user another password, which the server knows when it returns. Who asks learns it at once, or with learn.
func (o *owner) change(ctx context.Context, tell bool) error {
	password := rand.Text()
	cl, err := kgo.NewClient(kgo.SeedBrokers(address(o.server)), kgo.SASL(plain.Auth{User: admin, Pass: adminPassword}.AsMechanism()))
	if err != nil {
		return err
	}
	defer cl.Close()
	answers, err := kadm.NewClient(cl).AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{
		{User: ownerName, Mechanism: kadm.ScramSha256, Iterations: 4096, Password: password},
	})
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.password = password
	o.mu.Unlock()
	if tell {
		_ = o.learn()
	}
	return o.known(ctx, password)
}

// known waits until the server takes a password: it learns of it a moment after it has stored it.
func (o *owner) known(ctx context.Context, password string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(address(o.server)), kgo.SASL(scram.Auth{User: ownerName, Pass: password}.AsSha256Mechanism()))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		if err = cl.Ping(ctx); err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// learn has those who ask be told the present password.
func (o *owner) learn() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = o.password
	return nil
}

func (o *owner) ask() (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told, nil
}

// options connect as the owner.
func (o *owner) options(address, prefix string) kafka.Options {
	return kafka.Options{Brokers: []string{address}, Prefix: prefix, SASL: kafka.SASL{Mechanism: "scram-sha-256", User: ownerName, Ask: o.ask}}
}
