package main

import "context"

// client is one way to send and to receive through a broker. All methods but close may be called concurrently.
type client interface {
	// create makes a queue that does not exist yet.
	create(ctx context.Context, q queue) error
	// publish returns nil once the broker has confirmed the message.
	publish(ctx context.Context, q queue, key string, body []byte) error
	// consume handles what is in the queue until ctx is done, and then returns once no handler runs any more.
	consume(ctx context.Context, q queue, in intake) error
	// remove deletes a queue that nobody consumes, with what is in it, where the client has the means.
	remove(ctx context.Context, q queue) error
	close(ctx context.Context) error
}

// queue is where the messages of one measurement go.
type queue struct {
	name    string // a word of a-z, 0-9 and '-'
	ordered bool   // the messages of a key are handled one after the other, as they were published
}

// intake says how a queue is consumed.
type intake struct {
	workers int               // handlers at once, of a client that can choose; 0 = what it has by default
	ready   func()            // called once everything that consumes has begun
	handle  func(body []byte) // called from several goroutines
}
