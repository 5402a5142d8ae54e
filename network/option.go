package network

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	nethttp "net/http"
	"os"

	"github.com/parley-io/parley/telemetry"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// Option changes what [Open] does.
type Option func(*options)

type options struct {
	source    string
	notice    func(string)
	warn      func(string)
	hasty     bool
	listen    string       // of calls
	listener  net.Listener // of calls; nil = none that listens already
	advertise string       // of calls
	faults    bool
	process   *mem.Process
	journal   Journal
	telemetry telemetry.Providers
	metrics   nethttp.Handler
	share     *share      // of an embedded broker
	tls       *tls.Config // for a broker elsewhere; nil = plain, or not said yet
	// collecting is a collector that was asked for; nil = only where Open runs one anyway.
	collecting *gathering
}

// share is how other processes reach an embedded broker.
type share struct {
	listen, token string
	ready         func(url string)
}

// WithSource names this process in what it writes to the streams of the network, and is the service that a fault's
// "at" means: a word of a-z, 0-9 and '-'. The default is "parley".
func WithSource(name string) Option { return func(o *options) { o.source = name } }

// WithoutWaiting makes Open answer at once that a broker can't be reached. The default is to try again until ctx ends, or for
// 20 seconds where ctx has no deadline.
func WithoutWaiting() Option { return func(o *options) { o.hasty = true } }

// WithNotice gives what a person should know about the opening, a line each: which network was found for the URL "".
// f is called by Open itself. The default is that nobody is told.
func WithNotice(f func(line string)) Option { return func(o *options) { o.notice = f } }

// WithWarn gives what an embedded broker has to say about trouble, a line each, from any goroutine. The default is
// that it says nothing.
func WithWarn(f func(line string)) Option { return func(o *options) { o.warn = f } }

// WithListen is where calls are answered, "host:port", port 0 = any free one. The default is the environment
// variable PARLEY_LISTEN, else "127.0.0.1:0". It is of no use on mem://, whose calls need no socket.
func WithListen(address string) Option { return func(o *options) { o.listen = address } }

// WithListener is a listener on which calls are answered, instead of WithListen: its port is taken before anything is
// opened. The network closes it at its Close; where Open fails, its owner does. The default is none. It is of no use on
// mem://.
func WithListener(l net.Listener) Option { return func(o *options) { o.listener = l } }

// WithAdvertise is the URL under which others reach the calls of this process, "https://shop.example.com". The default
// is the environment variable PARLEY_ADVERTISE, else "http://" and the address on which calls are answered; one of
// them is required when that names every interface (":8080").
func WithAdvertise(url string) Option { return func(o *options) { o.advertise = url } }

// WithFaults makes the network one whose faults [SetFaults] sets, as those of `parley dev` are. The default is that a
// network has none unless it is that of a running `parley dev`.
func WithFaults() Option { return func(o *options) { o.faults = true } }

// WithSharing lets other processes of this machine use an embedded broker: it listens on a loopback address
// ("host:port", port 0 = any free one) for those that show token, at least 16 visible characters. ready, if not nil,
// is called once by Open with the URL, which does not hold the token.
func WithSharing(listen, token string, ready func(url string)) Option {
	return func(o *options) { o.share = &share{listen, token, ready} }
}

// WithProcess makes mem:// one process of a fabric that others share. It runs no collector; [Collect] starts one.
// The default is a fabric of its own, with a collector.
func WithProcess(p *mem.Process) Option { return func(o *options) { o.process = p } }

// WithJournal is where services keep their operations; see [parley.Network]. The default is a file for each service,
// below the place that the URL names, and on mem:// the memory of this process.
func WithJournal(j Journal) Option { return func(o *options) { o.journal = j } }

// WithTelemetry is where the spans and metrics of this process' clients and services go, and those of what it answers over
// HTTP. The default is nowhere. Package parleyotel makes providers from the standard environment variables.
func WithTelemetry(p telemetry.Providers) Option { return func(o *options) { o.telemetry = p } }

// WithMetrics serves h as GET /metrics beside the calls, for Prometheus. The default is that there is no such page.
func WithMetrics(h nethttp.Handler) Option { return func(o *options) { o.metrics = h } }

// WithTLS is how a broker is spoken to whose URL asks for TLS (tls://, amqps://, kafka://…?tls=on): client certificates,
// authorities, names. The default is what the system trusts, or what ca= in the URL names, and TLS 1.2 or later.
func WithTLS(config *tls.Config) Option { return func(o *options) { o.tls = config } }

// WithCollector makes this process collect the ledger, as [Collect] does, also when the broker is elsewhere; /readyz says
// not ready until what the ledger holds has been read. ended, if not nil, is called, from any goroutine, with the reason
// if the collector ends before the network is closed. The default is that only the owner of an embedded or mem network
// collects.
func WithCollector(ended func(error)) Option {
	return func(o *options) { o.collecting = newGathering(ended) }
}

// settle fills in defaults and reports everything that does not fit the URL.
func (o *options) settle(where address) error {
	var errs []error
	if o.source == "" {
		o.source = "parley"
	}
	if err := transport.CheckGroup(o.source); err != nil {
		errs = append(errs, fmt.Errorf("WithSource: %w", err))
	}
	o.listen = cmp.Or(o.listen, os.Getenv("PARLEY_LISTEN"), "127.0.0.1:0")
	o.advertise = cmp.Or(o.advertise, os.Getenv("PARLEY_ADVERTISE"))
	if o.share != nil && where.scheme != "embedded" {
		errs = append(errs, errors.New("WithSharing: only an embedded:// broker is this process' to share"))
	}
	if o.process != nil && where.scheme != "mem" {
		errs = append(errs, errors.New("WithProcess: only for mem://"))
	}
	if where.passwordFile != "" {
		_, err := where.readPassword()
		errs = append(errs, err)
	}
	return errors.Join(append(errs, o.settleTLS(where))...)
}

// settleTLS makes the configuration for a broker whose URL asks for TLS.
func (o *options) settleTLS(where address) error {
	switch {
	case o.tls != nil && !where.secure:
		return errors.New("WithTLS: the URL asks for no TLS: want tls://, amqps://, or kafka:// with tls=on")
	case o.tls != nil && where.ca != "":
		return errors.New("WithTLS: the URL has ca= too; want one of them")
	case !where.secure:
		return nil
	case o.tls == nil:
		o.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if where.ca == "" {
		return nil
	}
	certificates, err := os.ReadFile(where.ca)
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	o.tls.RootCAs = x509.NewCertPool()
	if !o.tls.RootCAs.AppendCertsFromPEM(certificates) {
		return fmt.Errorf("ca: %s holds no certificate in PEM form", where.ca)
	}
	return nil
}
