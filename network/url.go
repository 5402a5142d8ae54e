package network

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// Forms are the URLs that [Open] takes, for people.
const Forms = `one of
  embedded://                       a broker in this process, its data in ./parley-data
  embedded:///abs/dir               its data in another directory; also embedded://./rel
  nats://[TOKEN@|USER:PASSWORD@]HOST[:PORT]
                                    a NATS server with JetStream; tls:// with TLS
  amqp://[USER:PASSWORD@]HOST[:PORT][/VHOST]
                                    RabbitMQ; amqps:// with TLS
  kafka://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]
                                    Apache Kafka; ?tls=on with TLS, ?sasl=plain|scram-sha-256|scram-sha-512
  mem://                            inside this process, nothing survives it
with parameters, for all but mem:
  prefix=WORD                       keeps environments apart on one broker
  journal=DIRECTORY                 where operations are kept
and where the broker is elsewhere:
  survives=process|power|node       what a confirmation has to survive
  ca=FILE                           certificates (PEM) to trust instead of the system's, with TLS
  password-file=FILE                the password, or a NATS token, read at each connection: one that is rotated takes hold
                                    without a restart
  replicas=N                        of what is stored, on kafka and nats`

// ErrURL is what the error of [Open] wraps when the URL itself has to be changed.
var ErrURL = errors.New("the URL of a network is wrong")

// Check reports everything that is wrong with the URL of a network, without opening it; its error wraps [ErrURL].
func Check(url string) error {
	_, err := parse(url)
	return err
}

// urlError is an error about a URL that names it already.
type urlError string

func (e urlError) Error() string      { return string(e) }
func (urlError) Is(target error) bool { return target == ErrURL }

// The schemes, as an address has them: tls:// is nats and amqps:// is amqp, with secure.
const (
	schemeEmbedded = "embedded"
	schemeMem      = "mem"
	schemeNATS     = "nats"
	schemeAMQP     = "amqp"
	schemeKafka    = "kafka"
)

const (
	// defaultDir is where an embedded broker keeps its data unless the URL names a place.
	defaultDir = "parley-data"
	// defaultVHost is RabbitMQ's own.
	defaultVHost = "/"
)

// address is a network's URL, understood.
type address struct { //nolint:recvcheck // String hides the password of a value, too
	scheme         string
	secure         bool   // by TLS
	dir            string // of embedded
	servers        string // of a broker elsewhere: "host:port", several joined by commas
	user, password string // of such a broker; a NATS token is a user without a password or a file of it
	passwordFile   string // of the password, or of a NATS token where there is no user; "" = the password above
	vhost          string // of amqp
	sasl           string // of kafka: its mechanism; "" without a user
	ca             string // file; "" = those of the system
	replicas       int    // 0 = not said
	prefix         string
	journal        string // the directory of the journals; "" = not said
	survives       string // what a confirmation has to survive; "" = not said
}

// parse understands a URL. Its error lists everything that is wrong and the valid forms, without passwords.
func parse(raw string) (address, error) {
	var a address
	problems := a.read(raw)
	if len(problems) == 0 {
		return a, nil
	}
	return a, urlError(fmt.Sprintf("network %q: %s; want %s", redact(raw), strings.Join(problems, "; "), Forms))
}

// elsewhere reports whether the broker is no part of this process.
func (a address) elsewhere() bool { return a.servers != "" }

// String is the URL for people: without user and password.
func (a address) String() string {
	hide := ""
	if a.user != "" {
		hide = hidden + "@"
	}
	s := a.place(hide)
	if a.prefix != "" {
		s += "?prefix=" + a.prefix
	}
	return s
}

// secret is the URL that opens the same network in any directory, with user and password.
func (a address) secret() (string, error) {
	values := make(url.Values)
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("prefix", a.prefix)
	set("survives", a.survives)
	set("sasl", a.sasl)
	if a.replicas > 0 {
		set("replicas", strconv.Itoa(a.replicas))
	}
	if a.scheme == schemeKafka && a.secure {
		set("tls", "on")
	}
	for name, path := range map[string]string{"ca": a.ca, "journal": a.journal, "password-file": a.passwordFile} {
		if path == "" {
			continue
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		set(name, absolute)
	}
	s := a.place(a.userinfo())
	if len(values) > 0 {
		s += "?" + values.Encode()
	}
	return s, nil
}

// beside reports whether a and b are on one broker.
func (a address) beside(b address) bool {
	return a.elsewhere() && a.scheme == b.scheme && a.servers == b.servers && a.vhost == b.vhost
}

// place is the URL without parameters, who being what stands before the servers.
func (a address) place(who string) string {
	switch {
	case a.scheme == schemeEmbedded && a.dir == defaultDir:
		return "embedded://./" + defaultDir
	case a.scheme == schemeEmbedded:
		return "embedded://" + a.dir
	case a.scheme == schemeNATS && a.secure:
		return "tls://" + who + a.servers
	case a.scheme == schemeAMQP:
		scheme := "amqp://"
		if a.secure {
			scheme = "amqps://"
		}
		if a.vhost == defaultVHost {
			return scheme + who + a.servers
		}
		return scheme + who + a.servers + "/" + url.PathEscape(a.vhost)
	}
	return a.scheme + "://" + who + a.servers
}

// userinfo is user and password as they stand in a URL, with the @; "" where there is no user. A comma would end
// the first server.
func (a address) userinfo() string {
	switch {
	case a.user == "":
		return ""
	case a.password == "":
		return strings.ReplaceAll(url.User(a.user).String(), ",", "%2C") + "@"
	}
	return strings.ReplaceAll(url.UserPassword(a.user, a.password).String(), ",", "%2C") + "@"
}
