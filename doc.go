// Package parley is how services talk: four styles, one grammar, the same promises on every broker, and one id to
// follow.
//
//	style      verb     the caller                        durable  receivers
//	Call       Call     waits for the answer, over HTTP   no       one
//	Operation  Start    gets an id, and may wait          yes      one owner, in many steps
//	Command    Send     gets an id; a broker delivers     yes      one, unknown to the sender
//	Event      Publish  tells all who subscribed          yes      any number of groups
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
//	// Fulfil picks, packs and ships an order. It takes hours.
//	var Fulfil = parley.NewOperation[Order, Shipment](API, "fulfil")
//
//	// Approved is raised by a clerk while Fulfil waits.
//	var Approved = parley.NewSignal[Approval](Fulfil, "approved")
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
//		orders.Fulfil.Handle(2, shop.fulfil).Earlier(1, shop.fulfilV1), // func(context.Context, Order) (Shipment, error)
//		orders.CancelOrder.Handle(shop.cancel),      // func(context.Context, Cancellation) error
//		payments.Captured.Subscribe("orders", shop.markPaid),
//	)
//	err = svc.Run(ctx)                           // until ctx is done, then it drains
//
// # Operations
//
// The code of an operation is an ordinary function that is run again from its beginning after every interruption; what
// is done in it and must not be repeated is a step: any verb called with its context, and what [Step], [Go] and [Gather]
// do. A step's result is kept before the next one begins. [Undo] says how to take a step back, [Signal.Await] and [Sleep] wait for days at
// no cost.
//
//	func (s *shop) fulfil(ctx context.Context, o orders.Order) (orders.Shipment, error) {
//		parley.Undo(ctx, "release", func(ctx context.Context) error { … })
//		held, err := stock.Hold.Call(ctx, s.client, o.Items)             // a step: "stock.v1.hold#1"
//		label := parley.Go(ctx, "label", func(ctx context.Context) (Label, error) { … })  // beside the code
//		ok, err := orders.Approved.Await(ctx, parley.Within(24*time.Hour))
//		…
//
// # Callers
//
// What a message goes through is the second argument of every verb:
//
//	quote, err := orders.GetQuote.Call(ctx, client, orders.Basket{Items: items})
//	run, err := orders.Fulfil.Start(ctx, client, order)  // returns when it is durable, also while the owner is away
//	shipment, err := run.Wait(ctx, client)               // or elsewhere: orders.Fulfil.Execution(id).Wait
//	id, err := orders.CancelOrder.Send(ctx, client, orders.Cancellation{OrderID: "1001"})
//	id, err = orders.OrderPlaced.Publish(ctx, client, placed)
//	trail, err := client.Follow(ctx, id)         // what became of it, at every receiver
//	trail, err = client.Await(ctx, id)           // the same, once every receiver is done
//
// A verb's error is an [*Error]; its Code says what went wrong, and its NotSent whether it certainly had no effect.
// Messages are delivered at least once: handlers must tolerate to see one again after a crash.
//
// An event with the [Stream] option is kept. A new group may begin in its past ([FromStart], [FromTime]), and anybody reads
// a range of it without a group and without disturbing one:
//
//	for sold, err := range orders.Sold.Read(ctx, client, parley.FromTime(monday), parley.UntilTime(tuesday)) {
package parley
