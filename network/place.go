package network

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/parley-io/parley/transport"
)

// Place is where the broker of a network is: for programs that look at a broker or try it, without being a part of the
// network. Safe for concurrent use.
type Place struct {
	raw   string
	where address
	opens options
}

// Locate understands the URL of a network whose broker is elsewhere, or of mem:// and embedded://, which have none to open.
// Its error wraps [ErrURL] and lists everything that is wrong with the URL and with the files that it names.
func Locate(url string) (*Place, error) {
	where, err := parse(url)
	if err != nil {
		return nil, err
	}
	p := &Place{raw: url, where: where}
	err = p.opens.settleTLS(where)
	if where.passwordFile != "" {
		_, unread := where.readPassword()
		err = errors.Join(err, unread)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	return p, nil
}

// Scheme is "mem", "embedded", "nats", "amqp" or "kafka", with TLS or without.
func (p *Place) Scheme() string { return p.where.scheme }

// Directory is where the URL wants an embedded broker to keep its data; "" = it does not say.
func (p *Place) Directory() string {
	if p.where.dir == defaultDir {
		return ""
	}
	return p.where.dir
}

// Prefix is the one that the URL asks for; "" = none.
func (p *Place) Prefix() string { return p.where.prefix }

// Under is the same place with another prefix.
func (p *Place) Under(prefix string) *Place {
	there := *p
	there.where.prefix = prefix
	return &there
}

// Through is the same place by other addresses: via gives one for each "host:port". ok is false where that can't be: Kafka
// tells its clients where it is, and a certificate is for a name.
func (p *Place) Through(via func(address string) string) (there *Place, ok bool) {
	if p.where.secure || p.where.scheme == schemeKafka || !p.where.elsewhere() {
		return nil, false
	}
	servers := strings.Split(p.where.servers, ",")
	if via != nil {
		for i, s := range servers {
			servers[i] = via(s)
		}
	}
	there = p.Under(p.where.prefix)
	there.where.servers = strings.Join(servers, ",")
	return there, true
}

// Open connects to the broker, which is elsewhere, once; name is what its tools show. The Broker is a [transport.Operator],
// too. No error holds a secret.
func (p *Place) Open(ctx context.Context, name string) (transport.Broker, error) {
	if !p.where.elsewhere() {
		return nil, fmt.Errorf("%s: there is no broker elsewhere to open", p)
	}
	o := p.opens
	o.source = name
	b, err := p.where.open(ctx, o)
	if err != nil {
		return nil, p.Discreet(err)
	}
	return b, nil
}

// String is the URL as it was given, without user and password.
func (p *Place) String() string { return redact(p.raw) }

// Discreet is err without the secrets of the URL. It keeps its code.
func (p *Place) Discreet(err error) error { return p.where.discreet(err) }

// Hide takes the secrets of the URL out of a text.
func (p *Place) Hide(text string) string {
	if text == "" {
		return ""
	}
	return p.Discreet(errors.New(text)).Error()
}
