package rabbitmq

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/parley-io/parley/transport"
)

// Options say which server, and how.
type Options struct {
	// URL is amqp:// or amqps://USER:PASSWORD@HOST:PORT/VHOST; several hosts of a cluster are joined by commas. An empty
	// path is the virtual host "/". Parameters of a client's certificate (cacertfile, certfile, keyfile,
	// server_name_indication) may follow.
	URL string
	// Password is asked for the password of the URL's user at each try to connect, so that one that is rotated takes hold
	// without a restart. It has to answer at once, from a file for example, and may be asked for two connections at a time; an
	// error from it is a failed try, after which it is asked again. The server lets connections be that were made with an old
	// password. nil = the URL's.
	Password func() (string, error)
	// TLS is for amqps; nil = what the URL says, else the system's certificates.
	TLS *tls.Config
	// Prefix keeps environments apart on one virtual host; "" = "parley". One word of a-z, 0-9 and '-', at most 32 characters.
	Prefix string
	// Name is what the server's tools show for these connections; "" = "parley".
	Name string
}

// Durations and sizes that others rely on.
const (
	// Lease is how long after the last confirmed round trip with the server's node a delivery counts as valid. The node
	// gives the deliveries of a silent connection to others after two heartbeats without a word, and those of a channel
	// that it closes at once; then a delivery is valid until that is read.
	Lease = heartbeat
	// MaxDelay is the longest NotBefore from now.
	MaxDelay = (1<<levels - 1) * delayUnit
	// MaxHeaders is what all attributes of one message may take on the wire. A frame has 128 KiB, and what a message
	// meets on its way is written into it.
	MaxHeaders = 96 << 10

	heartbeat = 5 * time.Second
	beatEvery = time.Second
	dialLimit = 5 * time.Second
	// closeLimit is for a server that does not answer a good-bye.
	closeLimit = 2 * time.Second
	minPause   = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// check reports everything that is wrong with o, fills in what is not set, and gives the servers.
func (o *Options) check() ([]server, error) {
	var errs []error
	if o.Prefix == "" {
		o.Prefix = "parley"
	}
	errs = append(errs, transport.CheckPrefix(o.Prefix))
	if o.Name == "" {
		o.Name = "parley"
	}
	servers, err := parseURL(o.URL)
	errs = append(errs, err)
	if err == nil && o.TLS != nil && !servers[0].secure {
		errs = append(errs, errors.New("TLS is set and the URL begins with amqp://: want amqps://"))
	}
	if err == nil && o.Password != nil {
		errs = append(errs, servers[0].checkPassword())
	}
	return servers, errors.Join(errs...)
}
