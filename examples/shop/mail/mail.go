// Package mail is the contract of the mail service.
package mail

import "github.com/parley-io/parley"

// API is version 1 of the mail service.
var API = parley.NewAPI("mail", 1)

// SendReceipt mails a receipt to a customer. Receipts of one customer are sent in order.
var SendReceipt = parley.NewCommand[Receipt](API, "send-receipt").
	KeyedBy(func(r Receipt) string { return r.Email })

// Receipt is what the customer reads.
type Receipt struct {
	OrderID string `json:"order_id" minLength:"1"`
	Email   string `json:"email" format:"email"`
	Cents   int64  `json:"cents" minimum:"1"`
}
