package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"

	"github.com/parley-io/parley/examples/bank/bank"
	"github.com/parley-io/parley/examples/shop/shop"
)

// Run starts the processes, tells the story, ends everything in order, and reports. It returns when none of its
// processes is left. When ctx is done it does not stop at once: customers stop ordering, and what was ordered is done first.
// An error means that the story could not be told; what is wrong with one that was told is in [Report.Broken].
func Run(ctx context.Context, o Options) (report Report, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("demo: %w", err)
		}
	}()
	if o, err = o.normal(); err != nil {
		return report, err
	}
	life, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	telling, cut := context.WithCancel(life)
	defer cut()
	defer context.AfterFunc(ctx, cut)()

	s, err := open(o, fail)
	if err != nil {
		return report, err
	}
	report, err = s.tell(telling, life)
	return report, errors.Join(err, s.close(context.WithoutCancel(ctx), err != nil || report.Lost > 0 || len(report.wrong) > 0))
}

// show is a running demo.
type show struct {
	Options
	*teller
	dir     string // of everything
	scratch bool   // dir is removed at the end
	cast    *Cast
	view    *view // nil until the broker runs

	breakers map[string]Breaker // by instance and peer
	noted    Breaker            // their sum at the last look
	open     int                // how many were open then
	dead     bool               // it was told that there are dead letters
	joined   bool               // the late joiner
	told     bool               // the story, to its end
	late     time.Duration      // by how much its moments are put off

	meanwhile []parley.MessageID // what was asked for while the owner was away, until all of it has ended
	queued    int                // how many those were
}

// open prepares a place for the show.
func open(o Options, fail context.CancelCauseFunc) (s *show, err error) {
	s = &show{Options: o, teller: &teller{began: time.Now(), out: o.Out}, dir: o.Data, breakers: make(map[string]Breaker)}
	if s.dir == "" {
		s.scratch = true
		if s.dir, err = os.MkdirTemp("", "parley-demo-"); err != nil {
			return nil, err
		}
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.runtimeDir(), 0o700); err != nil {
		return nil, err
	}
	if s.cast, err = newCast(o.Executable, s.dir, s.runtimeDir(), s.teller, fail); err != nil {
		return nil, err
	}
	return s, nil
}

// close ends every process and removes what is not kept.
func (s *show) close(ctx context.Context, keep bool) error {
	keep = keep && len(s.cast.Names()) > 0
	var errs []error
	if s.view != nil {
		closing, cancel := context.WithTimeout(ctx, askLimit)
		defer cancel()
		errs = append(errs, s.view.net.Close(closing))
	}
	errs = append(errs, s.cast.close())
	switch err := errors.Join(errs...); {
	case !s.scratch:
		return err
	case keep || err != nil:
		s.print("\n  Everything is kept in " + s.dir)
		return err
	default:
		return os.RemoveAll(s.dir)
	}
}

// The process that collects what becomes of messages, by its name in the cast.
const (
	Broker    = "broker"    // where it runs the broker, too
	Collector = "collector" // where [Options].Network names one
)

// broker starts the process of the broker and opens its network. The broker takes a free port, which it keeps when it is
// started again, so that everybody finds it again.
func (s *show) broker(ctx context.Context) error {
	name, args := Broker, []string{"dev", "--data", filepath.Join(s.dir, "broker")}
	if s.Network != "" {
		name, args = Collector, append(args, "--network", s.Network)
	}
	if err := s.cast.start(name, args...); err != nil {
		return err
	}
	var dev network.Runtime
	err := s.wait(ctx, 15*time.Second, "the broker to run", func() (ok bool) { dev, ok = s.runtime(); return ok })
	if err != nil {
		return err
	}
	if s.Network == "" {
		s.cast.change(name, append(args, "--listen", strings.TrimPrefix(dev.URL, "nats://"))...)
	}
	if s.view, err = look(ctx, dev); err != nil {
		return err
	}
	carrier := "an embedded broker;\nnothing leaves this machine"
	if s.Network != "" {
		carrier = dev.URL + ",\nwhere what they declare remains afterwards"
	}
	s.print(fmt.Sprintf(`parley demo: a shop and a bank, a process for each of their %d services, beside %s

  HTTP     %s
  Data     %s%s
  Look     in another terminal, after: export PARLEY_RUNTIME_DIR=%s
`, len(shop.Services())+len(bank.Services()), carrier, dev.HTTP, s.dir, map[bool]string{true: " (removed at the end; --data DIR keeps it)"}[s.scratch], s.runtimeDir()))
	return nil
}

// shop starts the process of a service of the shop; customers come to the storefront with so many orders in a second.
func (s *show) shop(name string, orders float64) error {
	args := []string{"shop", name, "--quick", "--journal", s.cast.outside}
	if name == front {
		args = append(args, "--orders", strconv.FormatFloat(orders, 'f', -1, 64), "--seed", strconv.FormatUint(s.Seed, 10))
	}
	return s.cast.start(name, args...)
}

// bank starts the process of a service of the bank.
func (s *show) bank(name string) error {
	args := []string{"bank", name, "--quick", "--journal", s.cast.outside}
	if name == applicants {
		args = append(args, "--applications", strconv.FormatFloat(s.Applications, 'f', -1, 64), "--seed", strconv.FormatUint(s.Seed, 10))
	}
	return s.cast.start(name, args...)
}

// outside reads the outside logs.
func (s *show) outside() (*Outside, error) {
	o, err := s.cast.Outside()
	if err == nil {
		o.Joined = s.joined
	}
	return o, err
}

func (s *show) runtimeDir() string { return filepath.Join(s.dir, "run") }

// runtime is what the broker's process says of itself once it can be found.
func (s *show) runtime() (r network.Runtime, ok bool) {
	b, err := os.ReadFile(filepath.Join(s.runtimeDir(), "dev.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return r, false
	}
	return r, err == nil && json.Unmarshal(b, &r) == nil
}
