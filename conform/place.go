package conform

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/rabbitmq"
)

// place is the broker of a URL and the prefix to work under.
type place struct {
	url    string
	scheme string
	name   string // the URL for people
	prefix string
	secret string // what must not be shown; "" = nothing
	plain  string // the URL up to its parameters
	who    string // as it stands before the hosts, with the @; a comma would end the first of them
	hosts  string // joined by commas
	user   *url.Userinfo
	dir    string // of embedded
	values url.Values
}

// hidden stands for what is not printed.
const hidden = "xxxxx"

// locate understands a URL. Without a prefix it makes one that nobody else has: the URL's own, if any, is its beginning.
func locate(raw, prefix string) (place, error) {
	if err := network.Check(raw); err != nil {
		return place{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	p := readURL(raw)
	if p.prefix = prefix; prefix == "" {
		p.prefix = "conform"
		if own := p.values.Get("prefix"); own != "" {
			p.prefix = own
		}
		p.prefix += "-" + strings.ToLower(rand.Text()[:8])
	}
	if err := transport.CheckPrefix(p.prefix); err != nil {
		return place{}, fmt.Errorf("%w: the run's own %w: shorten prefix= of the URL", ErrOptions, err)
	}
	if _, err := p.tls(); err != nil {
		return place{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return p, nil
}

// readURL takes apart a URL that is right. Several servers stand where net/url knows one.
func readURL(raw string) place {
	scheme, rest, _ := strings.Cut(raw, "://")
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	at := strings.LastIndexByte(rest[:end], '@') + 1
	p := place{url: raw, scheme: scheme, who: strings.ReplaceAll(rest[:at], ",", "%2C"), hosts: rest[at:end]}
	path, query, _ := strings.Cut(rest[end:], "?")
	p.plain = scheme + "://" + p.who + p.hosts + path
	p.values, _ = url.ParseQuery(query) // it was right
	if u, err := url.Parse(scheme + "://" + rest[:at] + "host"); err == nil && at > 0 {
		p.user = u.User
		p.secret, _ = u.User.Password()
		if p.secret == "" && (scheme == "nats" || scheme == "tls") {
			p.secret = u.User.Username() // a token
		}
	}
	if scheme == "embedded" {
		p.dir, p.hosts = rest[:end]+path, ""
	}
	who := ""
	if at > 0 {
		who = hidden + "@"
	}
	if p.name = scheme + "://" + who + rest[at:end] + path; query != "" {
		p.name += "?" + query
	}
	return p
}

// replay is the command that tries one check again.
func (p place) replay(o Options, number int) string {
	command := fmt.Sprintf("parley conform '%s' --checks %d --seed %d", p.name, number, o.Seed)
	if o.Full {
		command += " --full"
	}
	return command
}

// open connects to a broker that is elsewhere.
func (p place) open(ctx context.Context) (transport.Broker, error) {
	config, err := p.tls()
	if err != nil {
		return nil, err
	}
	const name = "conform"
	replicas, _ := strconv.Atoi(p.values.Get("replicas")) // "" is 0, not said
	switch p.scheme {
	case "amqp", "amqps":
		return rabbitmq.Open(ctx, rabbitmq.Options{URL: p.plain, TLS: config, Prefix: p.prefix, Name: name})
	case "kafka":
		return kafka.Open(ctx, kafka.Options{
			Brokers: strings.Split(p.hosts, ","), TLS: config, SASL: p.sasl(), Prefix: p.prefix, Name: name, Replicas: replicas,
		})
	}
	o := nats.Options{TLS: config, Prefix: p.prefix, Name: name, Replicas: replicas, Survives: p.values.Get("survives")}
	who := p.who
	if _, both := p.user.Password(); !both {
		o.Token, who = p.user.Username(), ""
	}
	o.URL = p.scheme + "://" + who + strings.ReplaceAll(p.hosts, ",", ","+p.scheme+"://"+who)
	return nats.Open(ctx, o)
}

// redirected reports whether the broker can be reached by other addresses than its own. Kafka tells its clients where it
// is, and a certificate is for a name.
func (p place) redirected() bool { return p.scheme == "nats" || p.scheme == "amqp" }

// through is p by other addresses.
func (p place) through(via func(address string) string) place {
	usual := map[string]string{"nats": "4222", "amqp": "5672"}[p.scheme]
	var hosts []string
	for h := range strings.SplitSeq(p.hosts, ",") {
		if _, _, err := net.SplitHostPort(h); err != nil {
			h = net.JoinHostPort(strings.Trim(h, "[]"), usual)
		}
		hosts = append(hosts, via(h))
	}
	there := strings.Join(hosts, ",")
	p.plain = strings.Replace(p.plain, "://"+p.who+p.hosts, "://"+p.who+there, 1)
	p.hosts = there
	return p
}

func (p place) sasl() kafka.SASL {
	password, ok := p.user.Password()
	if !ok {
		return kafka.SASL{}
	}
	s := kafka.SASL{Mechanism: p.values.Get("sasl"), User: p.user.Username(), Password: password}
	if s.Mechanism == "" {
		s.Mechanism = "scram-sha-512"
	}
	return s
}

// tls is nil where the URL asks for none.
func (p place) tls() (*tls.Config, error) {
	if p.scheme != "tls" && p.scheme != "amqps" && p.values.Get("tls") != "on" {
		return nil, nil //nolint:nilnil // none is what was asked for
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	file := p.values.Get("ca")
	if file == "" {
		return config, nil
	}
	certificates, err := os.ReadFile(file) //nolint:gosec // that is what was asked for
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("ca: %s holds no certificate in PEM form", file)
	}
	return config, nil
}

// hide takes the password out of a text, in whatever form.
func (p place) hide(text string) string {
	if p.secret == "" {
		return text
	}
	return strings.NewReplacer(
		p.secret, hidden, url.QueryEscape(p.secret), hidden, url.PathEscape(p.secret), hidden,
		strings.TrimPrefix(url.UserPassword("", p.secret).String(), ":"), hidden,
	).Replace(text)
}

// discreet is err without the password. It keeps its code.
func (p place) discreet(err error) error {
	text := err.Error()
	if p.hide(text) == text {
		return err
	}
	if e, ok := errors.AsType[*transport.Error](err); ok {
		clean := &transport.Error{Code: e.Code, NotSent: e.NotSent, NoRetry: e.NoRetry, Message: p.hide(e.Message)}
		if e.Cause != nil {
			clean.Cause = errors.New(p.hide(e.Cause.Error()))
		}
		return clean
	}
	return errors.New(p.hide(text))
}
