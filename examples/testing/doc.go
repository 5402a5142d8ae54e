// Package testing shows how a service is tested without a broker, without sockets and without waiting: on transport/mem
// inside a testing/synctest bubble, where time is virtual and a process can be killed at any moment. The service is in
// kitchen.go, and the test, which is what to read, in kitchen_test.go.
package testing
