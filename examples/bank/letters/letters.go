// Package letters is the contract of the bank's post office.
package letters

import "github.com/parley-io/parley"

// API is version 1 of the post office.
var API = parley.NewAPI("letters", 1)

// SendLetter posts a letter. Those to one person are posted in order.
var SendLetter = parley.NewCommand[Letter](API, "send-letter").
	KeyedBy(func(l Letter) string { return l.To })

// Letter is what somebody reads.
type Letter struct {
	LoanID parley.MessageID `json:"loan_id" minLength:"1"`
	To     string           `json:"to" minLength:"1"`
	Text   string           `json:"text" minLength:"1"`
}
