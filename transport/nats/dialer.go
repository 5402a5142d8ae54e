package nats

import (
	"net"
	"time"
)

// dialer begins connections, and counts them before anything can come over them.
type dialer struct {
	b       *Broker
	timeout time.Duration
}

// Dial implements the client library's CustomDialer.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	d.b.epoch.Add(1)
	return net.DialTimeout(network, address, d.timeout) //nolint:noctx // the library's interface has no context
}

// InProcessConn implements the client library's InProcessConnProvider.
func (d dialer) InProcessConn() (net.Conn, error) {
	d.b.epoch.Add(1)
	return d.b.options.InProcess.InProcessConn()
}
