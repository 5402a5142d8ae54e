package nats

import (
	"fmt"
	"net"
	"time"

	natsio "github.com/nats-io/nats.go"
)

// dialer begins connections, and counts them before anything can come over them.
type dialer struct {
	b        *Broker
	timeout  time.Duration
	password string // for the connection that was begun last: the library does one thing after the other
}

// Dial implements the client library's CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	return net.DialTimeout(network, address, d.timeout) //nolint:noctx // the library's interface has no context
}

// InProcessConn implements the client library's InProcessConnProvider.
func (d *dialer) InProcessConn() (net.Conn, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	return d.b.options.InProcess.InProcessConn()
}

func (d *dialer) begin() (err error) {
	d.b.epoch.Add(1)
	if d.b.options.Password == nil {
		return nil
	}
	if d.password, err = d.b.options.Password(); err != nil {
		return fmt.Errorf("ask for the password: %w", err)
	}
	return nil
}

// login has the library show the password that is asked for, as a user's or, without one, as a token.
func (d *dialer) login(user string) natsio.Option {
	if user == "" {
		return natsio.TokenHandler(func() string { return d.password })
	}
	return natsio.UserInfoHandler(func() (string, string) { return user, d.password })
}
