package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/transport/nats/embedded"
)

// task is what a worker process does.
type task struct {
	Verb string `json:"verb"` // "publish", "handle" or "churn"
	Name string `json:"name"` // of the process, and the beginning of its lanes; unique in a run
	URL  string `json:"url"`
	Free bool   `json:"free,omitzero"` // commands without order

	// Of publish.
	Lanes int   `json:"lanes,omitzero"`
	Every lapse `json:"every,omitzero"` // between two messages of a lane
	Most  int   `json:"most,omitzero"`  // messages of a lane; 0 = until it is told to end
	Mixed bool  `json:"mixed,omitzero"` // see mix
	// Due has the messages of a lane scheduled evenly over Spread, beginning at Due; zero = at once.
	Due    time.Time `json:"due,omitzero"`
	Spread lapse     `json:"spread,omitzero"`

	// Of handle.
	Concurrency int   `json:"concurrency,omitzero"`
	Takes       lapse `json:"takes,omitzero"` // a handler

	// Of churn.
	Rounds int `json:"rounds,omitzero"`
}

// lapse is a duration that JSON has as a number of nanoseconds.
type lapse time.Duration

// play is what this program does as a child process: "work TASK", or "broker DIR LISTEN" as an embedded broker.
func play(ctx context.Context, role []string) error {
	switch {
	case role[0] == "work" && len(role) == 2:
		var t task
		if err := json.Unmarshal([]byte(role[1]), &t); err != nil {
			return err
		}
		w, verbs := &worker{task: t, out: os.Stdout}, map[string]func(*worker, context.Context) error{
			"publish": (*worker).publish, "handle": (*worker).handle, "churn": (*worker).churn,
		}
		if do := verbs[t.Verb]; do != nil {
			if err := do(w, ctx); !errors.Is(err, errDismissed) {
				return err
			}
			return nil
		}
	case role[0] == "broker" && len(role) == 3:
		return serve(ctx, role[1], role[2])
	}
	return fmt.Errorf("role %q: want work TASK or broker DIR LISTEN", role)
}

// token of an embedded broker that lives as long as this program and listens on the loopback.
const token = "of-no-value-to-anybody"

// serve is an embedded broker. What it has to say about trouble is beside its directory.
func serve(ctx context.Context, dir, listen string) error {
	log, err := os.OpenFile(dir+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // where the parent says
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // nobody depends on it
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Listen: listen, Token: token,
		Warn: func(line string) { _, _ = fmt.Fprintln(log, line) }})
	if err != nil {
		return err
	}
	fmt.Println(strings.TrimPrefix(server.URL(), "nats://"))
	<-ctx.Done()
	return server.Close(context.WithoutCancel(ctx))
}

// worker is a process that does its task and says what it does, a line before and after each thing:
//
//	ready                     a handler receives
//	sending LANE N AT DUE     DUE is 0 for at once
//	stored LANE N AT          it was confirmed
//	refused LANE N AT         it certainly is not stored
//	begin LANE N AT           a handler has begun
//	end LANE N AT             and ended; the message is settled after that
//	failed LANE N AT          and failed
//	figure NAME VALUE         something that was measured
//	wrong TEXT                something that should not be
//	note TEXT                 something that a reader of the figures should know
//	done                      nothing more comes
//
// Times are nanoseconds of the wall clock, which all processes of a machine share.
type worker struct {
	task

	mu  sync.Mutex
	out io.Writer
}

// say writes one line at once, which a pipe passes on as a whole, so that nothing that was said is lost by a kill.
func (w *worker) say(what string, l load, more ...int64) {
	line := make([]byte, 0, 64)
	line = append(append(append(line, what...), ' '), l.Lane...)
	line = strconv.AppendInt(append(line, ' '), int64(l.Number), 10)
	line = strconv.AppendInt(append(line, ' '), time.Now().UnixNano(), 10)
	for _, n := range more {
		line = strconv.AppendInt(append(line, ' '), n, 10)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.out.Write(append(line, '\n')) // a reader that is gone needs no answer
}

func (w *worker) tellf(format string, v ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = fmt.Fprintf(w.out, format+"\n", v...)
}
