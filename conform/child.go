package conform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

// The roles of a child process.
const (
	roleBroker = "broker" // DIRECTORY TOKEN LISTEN: an embedded broker
	roleWork   = "work"   // URL PREFIX VERB …: what a check wants done
)

// Play does nothing in a program that was not started by [Run]. In one that was, it plays its part and ends the process.
// A program calls it before anything else.
func Play() { transporttest.Play(play) }

func play(ctx context.Context, role []string) error {
	switch {
	case role[0] == roleBroker && len(role) == 4:
		return serve(ctx, role[1], role[2], role[3])
	case role[0] == roleWork && len(role) > 3:
		return work(ctx, role[1], role[2], role[3:])
	}
	return fmt.Errorf("conform: a child with %d words: want %s or %s", len(role), roleBroker, roleWork)
}

// serve is an embedded broker until ctx is done.
func serve(ctx context.Context, dir, token, listen string) error {
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Token: token, Listen: strings.TrimPrefix(listen, "nats://")})
	if err != nil {
		return err
	}
	fmt.Println(server.URL())
	<-ctx.Done()
	return server.Close(context.WithoutCancel(ctx))
}

// child is a process that does a check's work on a connection of its own.
func (p place) child(ctx context.Context, args []string) *exec.Cmd {
	return transporttest.Child(ctx, append([]string{roleWork, p.url, p.Prefix()}, args...)...)
}

// work does what a check wants done, noting the traffic in the file that the environment names.
func work(ctx context.Context, url, prefix string, args []string) error {
	p, err := locate(url, prefix)
	if err != nil {
		return err
	}
	b, err := p.open(ctx)
	if err != nil {
		return err
	}
	name := os.Getenv(diaryVariable)
	if name == "" {
		return transporttest.Work(ctx, b, args, os.Stdout)
	}
	d, err := openFile(name)
	if err != nil {
		return errors.Join(err, b.Close(ctx))
	}
	living, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var beats sync.WaitGroup
	beats.Go(func() { d.beat(living) })
	err = transporttest.Work(ctx, watch(b, d), args, os.Stdout)
	cancel()
	beats.Wait()
	return errors.Join(err, d.end())
}
