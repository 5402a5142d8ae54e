package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
)

// The contract of the service that the scripts talk to.
var (
	kitchenAPI  = parley.NewAPI("kitchen", 1)
	kitchenCook = parley.NewCall[dish, meal](kitchenAPI, "cook")
	kitchenBurn = kitchenAPI.NewError("burnt", parley.FailedPrecondition)
	// kitchenServe fails while the file "broken" is there.
	kitchenServe = parley.NewCommand[dish](kitchenAPI, "serve")
	// kitchenBill fails while the file "unpaid" is there, and then stops its key.
	kitchenBill   = parley.NewCommand[dish](kitchenAPI, "bill").KeyedBy(func(d dish) string { return d.Name })
	kitchenServed = parley.NewEvent[dish](kitchenAPI, "served")
	kitchenLog    = parley.NewEvent[dish](kitchenAPI, "log", parley.Stream(time.Hour, 1<<20))
)

type dish struct {
	Name     string `json:"name" minLength:"1"`
	Portions int    `json:"portions" minimum:"1"`
	Spicy    bool   `json:"spicy,omitzero"`
	Table    *seat  `json:"table,omitzero"`
}

type seat struct {
	Number int `json:"number"`
}

type meal struct {
	Text string `json:"text"`
}

// kitchenMain runs the part of the kitchen that its argument names: "kitchen", which answers the call and handles the
// commands, "caterer", which owns the operation, or the name of a group that subscribes to the events.
func kitchenMain() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := runKitchen(ctx, os.Args[1])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kitchen:", err)
		os.Exit(1)
	}
}

func runKitchen(ctx context.Context, part string) (err error) {
	net, err := network.Open(ctx, "", network.WithSource(part))
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, net.Close(closing))
	}()
	client, err := parley.NewClient(part, net)
	if err != nil {
		return err
	}
	parts := []parley.Registration{parley.Grace(0)}
	switch part {
	case "kitchen":
		parts = append(parts, kitchen(client)...)
	case "caterer":
		parts = append(parts, cateringFeast.Handle(1, feed))
	default:
		parts = append(parts,
			kitchenServed.Subscribe(part, spoilt, quick()),
			kitchenLog.Subscribe(part, func(context.Context, dish) error { return nil }))
	}
	service, err := parley.NewService(client, parts...)
	if err != nil {
		return err
	}
	over := make(chan error, 1)
	go func() { over <- service.Run(ctx) }() // waited for below
	select {
	case <-service.Ready():
		fmt.Println("ready")
	case err := <-over:
		return err
	}
	return <-over
}

// quick is a schedule of retries that a script can wait for.
func quick() parley.ReceiveOption { return parley.Retries(1, 50*time.Millisecond) }

func kitchen(client *parley.Client) []parley.Registration {
	return []parley.Registration{
		kitchenCook.Handle(cook),
		kitchenServe.Handle(func(ctx context.Context, d dish) error {
			if err := spoilt(ctx, d); err != nil {
				return err
			}
			_, err := kitchenServed.Publish(ctx, client, d)
			return err
		}, quick()),
		kitchenBill.Handle(charge, quick(), parley.StopKey()),
	}
}

func cook(ctx context.Context, d dish) (meal, error) {
	switch d.Name {
	case "toast":
		return meal{}, parley.WithDetails(kitchenBurn, map[string]int{"minutes": 9})
	case "bomb":
		panic("the kitchen is no more")
	case "stew":
		<-ctx.Done()
		return meal{}, ctx.Err()
	case "unicorn":
		return meal{}, parley.Errorf(parley.NotFound, "no such animal")
	}
	text := fmt.Sprintf("%d %s", d.Portions, d.Name)
	if d.Spicy {
		text += ", hot"
	}
	if d.Table != nil {
		text += fmt.Sprintf(", table %d", d.Table.Number)
	}
	return meal{text}, nil
}

func charge(context.Context, dish) error {
	if _, err := os.Stat("unpaid"); err == nil {
		return errors.New("no money")
	}
	return nil
}

// spoilt fails while the file "broken" is there, and panics about a bomb.
func spoilt(_ context.Context, d dish) error {
	if d.Name == "bomb" {
		panic("the kitchen is no more")
	}
	if _, err := os.Stat("broken"); err == nil {
		return errors.New("the oven is broken")
	}
	return nil
}
