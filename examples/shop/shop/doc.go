// Package shop is the code of the example shop: eight small services and one that joins late. front.go takes orders, as
// an operation and as a call; backend.go is everybody else. Package outside is the log that shows what really happened.
package shop
