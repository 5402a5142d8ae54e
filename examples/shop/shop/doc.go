// Package shop is the code of the example shop: eight small services and one that joins late. Each file is one
// service; journal.go is the outside log that shows what really happened.
package shop
