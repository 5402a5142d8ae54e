package nats

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/parley-io/parley/transport"
)

// Options say which server, and how. Either URL or InProcess is required.
type Options struct {
	// URL of the servers: "nats://host:4222" or "tls://host:4222", several joined by commas. The scheme, and the user or
	// token, of the first hold for all that have none.
	URL string
	// TLS is for servers that want it, or with a URL that begins "tls://"; nil = what the system trusts.
	TLS *tls.Config
	// InProcess connects without a socket; an *embedded.Server is one. It is asked again for each reconnection.
	InProcess interface{ InProcessConn() (net.Conn, error) }
	// Token is what the server wants to be shown; "" = nothing, or what the URL has.
	Token string
	// Password is asked for the password at each try to connect, so that one that is rotated takes hold without a restart: for
	// that of the URL's user, who is the same on all servers, or for the token where the URL has none. It has to answer at
	// once, from a file for example; an error from it is a failed try, after which it is asked again. nil = what Token or the
	// URL has.
	Password func() (string, error)
	// Prefix keeps environments apart on one server; "" = "parley". One word of a-z, 0-9 and '-', at most 32 characters.
	Prefix string
	// Name is what the server's monitoring shows for this connection; "" = "parley".
	Name string
	// Replicas of each stream that this Broker creates; 0 = 1.
	Replicas int
	// Survives is what a confirmation survives, as [transport.Features] has it, because no client can ask a server for
	// that: "process" ("" too), "power" with sync_interval always, "node" with three replicas as well.
	Survives string
}

// Durations that others rely on.
const (
	// DedupeWindow is how long an (ID, Copy, Group) is remembered, or Retain of a Stream if that is shorter.
	DedupeWindow = 2 * time.Minute
	// AckWait is after how long the server gives a delivery of a receiver that went silent to another.
	AckWait = 10 * time.Second
	// Lease is how long after the last confirmed round trip a delivery of an unordered channel counts as valid. With signs of life every
	// progressEvery, AckWait - progressEvery is the latest that is safe.
	Lease = 5 * time.Second
	// LeaseTTL is after how long others take the partitions of a Broker that went silent. It is renewed eight times as often.
	LeaseTTL = 6 * time.Second
	// MaxDelay is the longest NotBefore from now. JetStream itself would go as far as the year 2262.
	MaxDelay = 100 * 365 * 24 * time.Hour
	// MaxCredit is the most unsettled deliveries of a group.
	MaxCredit = 10_000

	progressEvery = 3 * time.Second
	beatEvery     = time.Second
	// answerLimit is how long the server may take to answer where nobody gave a deadline: a confirmation that has not
	// come by then never comes.
	answerLimit = 10 * time.Second
	dialLimit   = 5 * time.Second
	// writeLimit is how long a write to a server that reads nothing may keep everybody else from the connection, which is
	// given up then.
	writeLimit = 2 * time.Second
)

// check reports everything that is wrong with o and fills in what is not set.
func (o *Options) check() error {
	var errs []error
	if (o.URL == "") == (o.InProcess == nil) {
		errs = append(errs, errors.New("set either URL or InProcess"))
	}
	errs = append(errs, o.checkPassword())
	if o.Prefix == "" {
		o.Prefix = "parley"
	}
	errs = append(errs, transport.CheckPrefix(o.Prefix))
	if o.Name == "" {
		o.Name = "parley"
	}
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Replicas < 1 || o.Replicas > 5 {
		errs = append(errs, fmt.Errorf("%d replicas: want 1 to 5", o.Replicas))
	}
	if o.Survives == "" {
		o.Survives = "process"
	}
	if want := []string{"process", "power", "node"}; !slices.Contains(want, o.Survives) {
		errs = append(errs, fmt.Errorf("survives %q: want one of %q", o.Survives, want))
	}
	return errors.Join(errs...)
}

func (o *Options) checkPassword() error {
	if o.Password == nil {
		return nil
	}
	var errs []error
	if o.Token != "" {
		errs = append(errs, errors.New("set either Password or Token"))
	}
	_, _, err := anonymous(o.URL)
	return errors.Join(append(errs, err)...)
}
