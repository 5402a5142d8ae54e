package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"
)

// childEnv marks a process that this program started of itself.
const childEnv = "BENCH_CHILD"

// setup is what a child is started with.
type setup struct {
	Role    string // a key of roles
	Name    string // of the process; "" = Role
	Brand   kind   // of the client that a messenger measures
	Dir     string // for its data
	URL     string // of the network that it joins
	Peer    string // URL of what it calls
	Queue   string // that several processes share
	Log     string // file that says what was really done, of a story
	Profile string // file for its CPU profile; "" = none
}

// order is one measurement.
type order struct {
	What        string
	Concurrency int
	Rate        int // per second
	For         time.Duration
	Count       int // of what is done, where it is not For that ends it
	Keys        int // that the messages have; 0 = letterKeys, in no order
	Queues      int // over which they are spread; 0 = 1
}

// orderCPU is answered by every child: the CPU time that it has used.
const orderCPU = "cpu"

// figures are what an order found. A field that the order is not about is zero.
type figures struct {
	Count     int           // what was done
	Took      time.Duration // all of it together
	P50, P99  time.Duration // of one
	CPU       time.Duration // of all processes that took part; who does alone says it, without what was only prepared
	Before    int           // messages that came before what was measured
	Recorded  uint64        // transitions that the ledger's writer was given
	Dropped   uint64        // those of them that it gave up
	Collected uint64        // transitions that the collector has
	Commits   int           // to the journal of operations
	Changes   int           // in them
	InCommit  time.Duration // the time that the journal's writer has spent in them
	CommitP50 time.Duration // of one
	Waiting   waitingFigures
	Backlog   backlogFigures
	Story     storyFigures
	Chain     chainFigures
}

// perSecond is the rate of what was done.
func (f figures) perSecond() float64 { return float64(f.Count) / f.Took.Seconds() }

// perCPU is how much of it was done for each second of CPU time.
func (f figures) perCPU() float64 { return float64(f.Count) / f.CPU.Seconds() }

func (f figures) p50() float64 { return micro(f.P50) }

func (f figures) p99() float64 { return micro(f.P99) }

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// actor is what a child does.
type actor interface {
	do(ctx context.Context, o order) (figures, error)
	close(ctx context.Context) error
}

// roles start what a child can be; address is what others need to know of it.
var roles = map[string]func(ctx context.Context, s setup) (a actor, address string, err error){
	"network":      startBroker,
	"callee":       startCallee,
	"caller":       startCaller,
	"plain callee": startPlainCallee,
	"plain caller": startPlainCaller,
	"messenger":    startMessenger,
	"backlog":      startBacklog,
	"inserter":     startInserter,
	"engine":       startStepper,
	"owner":        startOwner,
	"waiting":      startHolder,
	"backend":      startBackend,
	"styles":       startStylist,
	"chain":        startChain,
}

// reply answers an order, and first the setup.
type reply struct {
	Address string
	Figures figures
	Error   string
}

// child is a process of this program in one of the roles. Not safe for concurrent use.
type child struct {
	name    string
	address string
	command *exec.Cmd
	stdin   io.WriteCloser
	in      *gob.Encoder
	out     *gob.Decoder
}

// closeLimit bounds the orderly end of a child.
const closeLimit = 10 * time.Second

// start runs a child and waits until it is ready. It ends with ctx or with end.
func start(ctx context.Context, c config, s setup) (*child, error) {
	if s.Name == "" {
		s.Name = s.Role
	}
	s.Dir = filepath.Join(c.dir, strings.ReplaceAll(s.Name, " ", "-"))
	if c.profile != "" {
		s.Profile = filepath.Join(c.profile, filepath.Base(s.Dir)+".pprof")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &child{name: s.Name, command: exec.CommandContext(ctx, self)}
	p.command.Stderr = os.Stderr
	p.command.Env = environment(c.dir)
	p.command.WaitDelay = closeLimit
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.command.Cancel = p.stdin.Close
	p.in, p.out = gob.NewEncoder(p.stdin), gob.NewDecoder(stdout)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	r, err := p.ask(s)
	if err != nil {
		return nil, errors.Join(err, p.end())
	}
	p.address = r.Address
	return p, nil
}

// do has the child carry out an order.
func (p *child) do(o order) (figures, error) {
	r, err := p.ask(o)
	return r.Figures, err
}

// end asks the child to end and waits until it has.
func (p *child) end() error {
	if p == nil {
		return nil
	}
	err := p.stdin.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if err = errors.Join(err, p.command.Wait()); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// kill ends the child as a crash does.
func (p *child) kill() error {
	if err := p.command.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	_ = p.stdin.Close()
	if err := p.command.Wait(); err == nil {
		return fmt.Errorf("kill %s: it ended in order before", p.name)
	}
	return nil
}

func (p *child) ask(question any) (r reply, err error) {
	if err = p.in.Encode(question); err == nil {
		err = p.out.Decode(&r)
	}
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", p.name, err)
	}
	return r, nil
}

// environment is this process' without what would make a child talk to anything but the others of this run.
func environment(dir string) []string {
	env := []string{childEnv + "=1", "PARLEY_RUNTIME_DIR=" + filepath.Join(dir, "runtime")}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PARLEY_") {
			env = append(env, e)
		}
	}
	return env
}

// runChild is the whole life of a child: a setup, then orders until standard input ends.
func runChild() (err error) {
	signal.Ignore(os.Interrupt) // the parent gets it too, and then ends its children
	in, out := gob.NewDecoder(os.Stdin), gob.NewEncoder(os.Stdout)
	var s setup
	if err := in.Decode(&s); err != nil {
		return fmt.Errorf("read the setup: %w", err)
	}
	ctx := context.Background()
	stop, err := profile(s.Profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	a, address, err := roles[s.Role](ctx, s)
	if err != nil {
		return errors.Join(err, out.Encode(reply{Error: err.Error()}))
	}
	defer func() {
		closing, cancel := context.WithTimeout(ctx, closeLimit)
		defer cancel()
		err = errors.Join(err, a.close(closing))
	}()
	err = out.Encode(reply{Address: address})
	for err == nil {
		var o order
		if err = in.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = out.Encode(carryOut(ctx, a, o))
		}
	}
	return err
}

func carryOut(ctx context.Context, a actor, o order) reply {
	var r reply
	var err error
	if o.What == orderCPU {
		r.Figures.CPU, err = cpuTime()
	} else {
		r.Figures, err = a.do(ctx, o)
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("CPU time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// profile writes a CPU profile of the process until stop.
func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
