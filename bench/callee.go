package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley"
)

// service is a Parley service on a network, which belongs to it.
type service struct {
	net  *parley.Network
	stop context.CancelFunc
	done chan error // what Run returned
}

// runService runs a service until close; a failure to begin ends what was begun.
func runService(ctx context.Context, n *parley.Network, client *parley.Client, registrations ...parley.Registration) (*service, error) {
	handler, err := parley.NewService(client, append(registrations, parley.Grace(time.Millisecond))...)
	if err != nil {
		return nil, errors.Join(err, n.Close(ctx))
	}
	life, stop := context.WithCancel(ctx)
	s := &service{net: n, stop: stop, done: make(chan error, 1)}
	go func() { s.done <- handler.Run(life) }()
	select {
	case <-handler.Ready():
		return s, nil
	case err := <-s.done:
		stop()
		return nil, errors.Join(fmt.Errorf("the service ended while it began: %w", err), n.Close(ctx))
	}
}

func (s *service) do(context.Context, order) (figures, error) {
	return figures{}, errors.New("a service takes no orders")
}

func (s *service) close(ctx context.Context) error {
	s.stop()
	return errors.Join(<-s.done, s.net.Close(ctx))
}

func startCallee(ctx context.Context, s setup) (actor, string, error) {
	n, err := openNetwork(ctx, s.URL, "callee")
	if err != nil {
		return nil, "", err
	}
	client, err := newClient("bench", n)
	if err != nil {
		return nil, "", errors.Join(err, n.Close(ctx))
	}
	handle := func(_ context.Context, in quoteRequest) (quoteAnswer, error) { return answerQuote(in), nil }
	a, err := runService(ctx, n, client, quote.Handle(handle))
	if err != nil {
		return nil, "", err
	}
	return a, "", nil
}

// plainCallee is what one writes with net/http alone.
type plainCallee struct {
	server *http.Server
	done   chan error
}

const quotePath = "/quote"

func startPlainCallee(ctx context.Context, _ setup) (actor, string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+quotePath, servePlainly)
	p := &plainCallee{server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, done: make(chan error, 1)}
	go func() { p.done <- p.server.Serve(listener) }()
	return p, "http://" + listener.Addr().String(), nil
}

func servePlainly(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var in quoteRequest
	if err := json.Unmarshal(body, &in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := json.Marshal(answerQuote(in))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer) // who no longer listens needs no answer
}

func (p *plainCallee) do(context.Context, order) (figures, error) {
	return figures{}, errors.New("a server takes no orders")
}

func (p *plainCallee) close(context.Context) error {
	err := p.server.Close()
	if ended := <-p.done; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
