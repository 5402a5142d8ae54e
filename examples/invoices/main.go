package main

import (
	"context"
	"log"
	"os/signal"
	"syscall"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
)

var (
	API   = parley.NewAPI("invoices", 1)
	Total = parley.NewCall[Invoice, Sum](API, "total", parley.Idempotent()) // answered while the caller waits
	Issue = parley.NewCommand[Invoice](API, "issue")                        // handled later, surely, by one
	Sent  = parley.NewEvent[Invoice](API, "sent")                           // told to whoever subscribed
)

type Invoice struct {
	Customer string  `json:"customer" minLength:"1"`
	Cents    []int64 `json:"cents" minItems:"1" jsonschema:"one amount for each line"`
}

type Sum struct {
	Cents int64 `json:"cents"`
}

func total(_ context.Context, i Invoice) (s Sum, err error) {
	for _, c := range i.Cents {
		s.Cents += c
	}
	return s, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	net, err := network.Open(ctx, "") // the `parley dev` that runs, or $PARLEY_NETWORK, or embedded
	if err != nil {
		log.Fatal(err)
	}
	defer net.Close(context.Background())
	client, err := parley.NewClient("invoices", net)
	if err != nil {
		log.Fatal(err)
	}
	issue := func(ctx context.Context, i Invoice) error { // returning nil acknowledges; an error is tried again
		_, err := Sent.Publish(ctx, client, i)
		return err
	}
	svc, err := parley.NewService(client, Total.Handle(total), Issue.Handle(issue))
	if err == nil {
		err = svc.Run(ctx)
	}
	log.Print("stopped: ", err)
}
