package node

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	nethttp "net/http"
	"path/filepath"
	"strconv"

	"github.com/parley-io/parley/telemetry"
)

const (
	// DefaultDir is where the data is kept.
	DefaultDir = "parley-data"
	// DefaultHTTP is where people and calls are answered.
	DefaultHTTP = "127.0.0.1:7070"
	// portsTried is how many ports are tried from that of DefaultHTTP on.
	portsTried = 100
)

// Options of [Run] and [Serve]. The zero value is useful to Run.
type Options struct {
	// Network is the URL of a network whose broker is elsewhere; see [network.Open]. "" = an embedded broker, for Run alone.
	Network string
	Dir     string // of an embedded broker's data and, after Run, of the journals of services; made where missing; "" = DefaultDir
	// HTTP is where the trail, the dead letters and the calls of the node are answered, "host:port", port 0 = any free one.
	// It is a loopback address for Run. "" = for Serve what the environment variable PARLEY_LISTEN says, else DefaultHTTP, or
	// the next free port.
	HTTP string
	// Advertise is the URL under which others reach HTTP, for Serve alone; "" = the environment variable PARLEY_ADVERTISE, else
	// "http://" and that address. It is required where HTTP names every interface (":7070").
	Advertise string
	// Broker is the loopback address on which an embedded broker listens for other processes, "host:port"; "" = where it
	// last did on the same Dir, if that is free, else 127.0.0.1 and any free port.
	Broker string
	// Telemetry is where the node's spans and metrics go; the zero value = nowhere.
	Telemetry telemetry.Providers
	// Metrics answers GET /metrics, for Prometheus; nil = there is no such page.
	Metrics nethttp.Handler
	// Warn gets what the broker has to say about trouble, a line each, from any goroutine; nil = nobody is told.
	Warn func(line string)
}

// normal fills in the defaults of a node for development, and reports everything that is wrong.
func (o Options) normal() (Options, error) {
	var errs []error
	if o.Network != "" && o.Broker != "" {
		errs = append(errs, fmt.Errorf("a broker address %q: the broker of the network is elsewhere, and listens where it does", o.Broker))
	}
	if o.Advertise != "" {
		errs = append(errs, fmt.Errorf("an advertised URL %q: a node for development is reached on this machine only", o.Advertise))
	}
	for _, a := range []struct{ name, value string }{{"HTTP", o.HTTP}, {"Broker", o.Broker}} {
		if a.value == "" {
			continue
		}
		if err := checkLoopback(a.value); err != nil {
			errs = append(errs, fmt.Errorf("%s address %q: %w", a.name, a.value, err))
		}
	}
	dir, err := filepath.Abs(cmp.Or(o.Dir, DefaultDir))
	o.Dir = dir
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	return o, errors.Join(append(errs, err)...)
}

// checkLoopback: what a node for development serves asks nobody who they are, so nobody else may reach it.
func checkLoopback(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("want host:port, as in 127.0.0.1:0")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %q: want a number from 0 to 65535", port)
	} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("host %q: want a loopback address such as 127.0.0.1:%d, because everybody who reaches it is served", host, n)
	}
	return nil
}
