package rabbitmq

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
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
func (d *dialer) dial(ctx context.Context, what string) (*amqp.Connection, *wire, error) {
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

func (d *dialer) dialOne(ctx context.Context, s server, what string) (*amqp.Connection, *wire, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	auth, err := d.authentication(s)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", s.shown, err)
	}
	conn, w, err := d.shakeHands(ctx, s, what, auth)
	if err == nil {
		err = checkVersion(conn.Properties)
	}
	if err != nil && conn != nil {
		_ = conn.CloseDeadline(time.Now().Add(closeLimit)) // closed already is fine
	}
	if err != nil {
		if w != nil {
			_ = w.Close() // closed already is fine
		}
		return nil, nil, fmt.Errorf("connect to %s: %w", s.shown, s.explain(err))
	}
	return conn, w, nil
}

// authentication is by the URL's password, or by the one that it asks for.
func (d *dialer) authentication(s server) ([]amqp.Authentication, error) {
	if d.options.Password == nil {
		uri, err := amqp.ParseURI(s.url)
		return []amqp.Authentication{uri.PlainAuth()}, err
	}
	password, err := d.options.Password()
	if err != nil {
		return nil, fmt.Errorf("ask for the password: %w", err)
	}
	return []amqp.Authentication{&amqp.PlainAuth{Username: s.user, Password: password}}, nil
}

// shakeHands answers what there is also where it fails. The library gets a connection that is secure already, where it is to
// be: what it is not concerned with is read and written in clear.
func (d *dialer) shakeHands(ctx context.Context, s server, what string, auth []amqp.Authentication) (*amqp.Connection, *wire, error) {
	uri, err := amqp.ParseURI(s.url)
	if err != nil {
		return nil, nil, err
	}
	config := amqp.Config{
		Vhost: s.vhost, Heartbeat: heartbeat, Locale: "en_US", Properties: amqp.NewConnectionProperties(),
		SASL: auth, ChannelMax: uri.ChannelMax, FrameSize: maxFrame,
	}
	config.Properties.SetClientConnectionName(d.options.Name + " " + what)
	c, err := d.reach(ctx, &uri)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) }) // ends a handshake early
	w := newWire(c)
	conn, err := amqp.Open(w, config)
	if err == nil && conn.Config.FrameSize > 0 {
		w.limit = min(conn.Config.FrameSize, maxFrame)
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	return conn, w, err
}

// reach is a connection to a server, secure where it is to be, with the deadline of ctx, which the library takes away
// after its handshake.
func (d *dialer) reach(ctx context.Context, uri *amqp.URI) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port)))
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	err = c.SetDeadline(deadline)
	if err == nil && uri.Scheme == "amqps" {
		c, err = secure(ctx, c, d.options.TLS.Clone(), uri)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// secure makes a connection secure; config may be nil. It answers one to be closed also where that fails.
func secure(ctx context.Context, c net.Conn, config *tls.Config, uri *amqp.URI) (net.Conn, error) {
	if config == nil {
		var err error
		if config, err = certificates(uri); err != nil {
			return c, err
		}
	}
	if config.ServerName == "" {
		config.ServerName = uri.Host
	}
	t := tls.Client(c, config)
	return t, t.HandshakeContext(ctx)
}

// certificates are those that a URL names, else the system's.
func certificates(uri *amqp.URI) (*tls.Config, error) {
	config := &tls.Config{ServerName: uri.ServerName, MinVersion: tls.VersionTLS12}
	if uri.CACertFile != "" {
		authority, err := os.ReadFile(uri.CACertFile)
		if err != nil {
			return nil, fmt.Errorf("tls: read the authority's certificate: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authority) {
			return nil, fmt.Errorf("tls: the authority's certificate: %s has none in PEM", uri.CACertFile)
		}
	}
	if uri.CertFile == "" || uri.KeyFile == "" {
		return config, nil
	}
	own, err := tls.LoadX509KeyPair(uri.CertFile, uri.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls: read the client's certificate: %w", err)
	}
	config.Certificates = []tls.Certificate{own}
	return config, nil
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
