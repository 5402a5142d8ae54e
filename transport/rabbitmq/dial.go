package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// dialer begins connections.
type dialer struct {
	options Options
	servers []server
}

// dial tries the servers in turn and answers the first connection. When there is none, what says what is certainly wrong
// comes first.
func (d *dialer) dial(ctx context.Context, what string) (*amqp.Connection, *gather, error) {
	var failed error
	for _, s := range d.servers {
		conn, g, err := d.dialOne(ctx, s, what)
		if err == nil {
			return conn, g, nil
		}
		switch {
		case failed == nil:
			failed = err
		case transport.CodeOf(failed) == transport.Unavailable:
			failed = fmt.Errorf("%w; %w", err, failed)
		default:
			failed = fmt.Errorf("%w; %w", failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, nil, failed
}

func (d *dialer) dialOne(ctx context.Context, s server, what string) (*amqp.Connection, *gather, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	var g *gather
	stop := func() bool { return true }
	config := amqp.Config{
		Vhost: s.vhost, Heartbeat: heartbeat, Locale: "en_US", Properties: amqp.NewConnectionProperties(),
		TLSClientConfig: d.options.TLS.Clone(),
		Dial: func(network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			deadline, _ := ctx.Deadline() // the library takes it away after the handshake
			if err := c.SetDeadline(deadline); err != nil {
				_ = c.Close()
				return nil, err
			}
			stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) }) // ends a handshake early
			g = newGather(c)
			return g, nil
		},
	}
	config.Properties.SetClientConnectionName(d.options.Name + " " + what)
	if d.options.Password != nil {
		password, err := d.options.Password()
		if err != nil {
			return nil, nil, fmt.Errorf("connect to %s: ask for the password: %w", s.shown, err)
		}
		config.SASL = []amqp.Authentication{&amqp.PlainAuth{Username: s.user, Password: password}}
	}
	conn, err := amqp.DialConfig(s.url, config)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = checkVersion(conn.Properties)
	}
	if err != nil && conn != nil {
		_ = conn.CloseDeadline(time.Now().Add(closeLimit)) // closed already is fine
	}
	if err != nil {
		if g != nil {
			_ = g.Close() // closed already is fine
		}
		return nil, nil, fmt.Errorf("connect to %s: %w", s.shown, s.explain(err))
	}
	return conn, g, nil
}

// checkVersion refuses servers that lose messages with what this driver asks of them.
func checkVersion(properties amqp.Table) error {
	product, _ := properties["product"].(string)
	version, _ := properties["version"].(string)
	major, minor, _ := strings.Cut(version, ".")
	minor, _, _ = strings.Cut(minor, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	if product == "RabbitMQ" && errA == nil && errB == nil && (a > 3 || a == 3 && b >= 10) {
		return nil
	}
	return &transport.Error{
		Code:    transport.FailedPrecondition,
		Message: fmt.Sprintf("the server is %q %q: want RabbitMQ 3.10 or later, which moves delayed messages without losing any", product, version),
	}
}

// explain gives an error of connecting its code and what to do. Without a code it may be over the next time.
func (s server) explain(err error) error {
	coded := &transport.Error{Cause: err}
	e, _ := errors.AsType[*amqp.Error](err)
	switch {
	case errors.Is(err, amqp.ErrCredentials), errors.Is(err, amqp.ErrSASL), e != nil && e.Server && e.Code == amqp.AccessRefused:
		coded.Code = transport.Unauthenticated
		coded.Message = fmt.Sprintf("the server does not accept user %q with this password: check both, see rabbitmqctl authenticate_user", s.user)
	case e != nil && e.Server && e.Code == amqp.NotAllowed && strings.Contains(e.Reason, "not found"):
		coded.Code = transport.NotFound
		coded.Message = fmt.Sprintf("there is no virtual host %q: correct the URL, or create it with rabbitmqctl add_vhost", s.vhost)
	case errors.Is(err, amqp.ErrVhost), e != nil && e.Server && e.Code == amqp.NotAllowed:
		coded.Code = transport.PermissionDenied
		coded.Message = fmt.Sprintf("user %q may not use virtual host %q: see rabbitmqctl set_permissions", s.user, s.vhost)
	case tlsTrouble(err):
		coded.Code = transport.FailedPrecondition
		coded.Message = "TLS: check scheme, port and certificates (cacertfile= in the URL names the authority)"
	default:
		if code := transport.CodeOf(err); code != transport.Unknown {
			return err
		}
		coded.Code = transport.Unavailable
		coded.Message = "the server cannot be reached: check host and port, and whether it runs"
	}
	return coded
}

func tlsTrouble(err error) bool {
	text := err.Error()
	return strings.Contains(text, "tls:") || strings.Contains(text, "x509:")
}
