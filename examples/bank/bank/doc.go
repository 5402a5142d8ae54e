// Package bank is the code of the example bank: a loan is decided by an operation that asks seven services, waits for a
// clerk, and takes its payout back if the last of them refuses. loans.go is that operation and what to read first;
// services.go is everybody whom it asks and tells, applicants.go those who want money. Package outside is the log that
// shows what really happened.
package bank
