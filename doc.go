// Package parley is how services talk: four styles, one grammar, the same promises on every broker, and one id to
// follow.
//
//	style      verb     the caller                        durable  receivers
//	Call       Call     waits for the answer, over HTTP   no       one
//	Command    Send     gets an id; a broker delivers     yes      one, unknown to the sender
//	Event      Publish  tells all who subscribed          yes      any number of groups
//
// (Asynchronous operations are the fourth; they come next.)
//
// # Contracts
//
// The contract is the only package that caller and service share. Each exchange is a variable of its own:
//
//	var API = parley.NewAPI("orders", 1)
//
//	// GetQuote prices a basket.
//	var GetQuote = parley.NewCall[Basket, Quote](API, "get-quote", parley.Idempotent())
//
//	// CancelOrder asks for an order to be cancelled, if that is still possible.
//	var CancelOrder = parley.NewCommand[Cancellation](API, "cancel-order").
//		KeyedBy(func(c Cancellation) string { return c.OrderID })
//
//	// OrderPlaced is published once for each accepted order.
//	var OrderPlaced = parley.NewEvent[Placed](API, "order-placed")
//
//	// ErrOutOfStock is an error that GetQuote declares; it crosses the wire by name.
//	var ErrOutOfStock = API.NewError("out-of-stock", parley.FailedPrecondition)
//
// Payloads are JSON. Struct tags with the names of JSON Schema keywords constrain them (minimum:"1" maxLength:"40"
// pattern:"^[a-z]+$" enum:"a,b" format:"email"), fields without omitzero are required, and what is wrong is told field
// by field.
//
// # Services
//
// Handlers are plain functions. To acknowledge is to return:
//
//	net, err := network.Open(ctx, "")            // embedded, or the `parley dev` that runs, or $PARLEY_NETWORK
//	client, err := parley.NewClient("orders", net)
//	svc, err := parley.NewService(client,
//		orders.GetQuote.Handle(shop.getQuote),       // func(context.Context, Basket) (Quote, error)
//		orders.CancelOrder.Handle(shop.cancel),      // func(context.Context, Cancellation) error
//		payments.Captured.Subscribe("orders", shop.markPaid),
//	)
//	err = svc.Run(ctx)                           // until ctx is done, then it drains
//
// # Callers
//
// What a message goes through is the second argument of every verb:
//
//	quote, err := orders.GetQuote.Call(ctx, client, orders.Basket{Items: items})
//	id, err := orders.CancelOrder.Send(ctx, client, orders.Cancellation{OrderID: "1001"})
//	id, err = orders.OrderPlaced.Publish(ctx, client, placed)
//	trail, err := client.Follow(ctx, id)         // what became of it, at every receiver
//	trail, err = client.Await(ctx, id)           // the same, once every receiver is done
//
// A verb's error is an [*Error]; its Code says what went wrong, and its NotSent whether it certainly had no effect.
// Messages are delivered at least once: handlers must tolerate to see one again after a crash.
package parley
