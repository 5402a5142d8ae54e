package network

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/parley-io/parley/transport"
)

// forms are the URLs that Open takes, for people who wrote another one.
const forms = `want one of
  embedded://                       a broker in this process, its data in ./parley-data
  embedded:///abs/dir               its data in another directory; also embedded://./rel
  nats://[TOKEN@|USER:PASSWORD@]HOST[:PORT]
                                    a NATS server with JetStream
  mem://                            inside this process, nothing survives it
and, for embedded and nats, ?prefix=WORD to keep environments apart on one broker
and ?journal=DIRECTORY where operations are kept`

// defaultDir is where an embedded broker keeps its data unless the URL names a place.
const defaultDir = "parley-data"

// address is a network's URL, understood.
type address struct { //nolint:recvcheck // String hides the password of a value, too
	scheme         string // "embedded", "nats" or "mem"
	dir            string // of embedded
	server         string // of nats: "host:port"
	user, password string // of nats; a token is a user without a password
	prefix         string
	journal        string // the directory of the journals; "" = not said
}

// parse understands a URL. Its error lists everything that is wrong and the valid forms, without passwords.
func parse(raw string) (address, error) {
	var a address
	problems := a.read(raw)
	if len(problems) == 0 {
		return a, nil
	}
	return a, fmt.Errorf("network %q: %s; %s", redact(raw), strings.Join(problems, "; "), forms)
}

// String is the URL for people: without user and password.
func (a address) String() string {
	s := a.scheme + "://"
	switch {
	case a.scheme == "nats" && a.user != "":
		s += hidden + "@" + a.server
	case a.scheme == "nats":
		s += a.server
	case a.scheme == "embedded" && a.dir == defaultDir:
		s += "./" + defaultDir
	case a.scheme == "embedded":
		s += a.dir
	}
	if a.prefix != "" {
		s += "?prefix=" + a.prefix
	}
	return s
}

// credentials is the URL of a NATS server with user and password.
func (a address) credentials() string {
	u := url.URL{Scheme: "nats", User: url.UserPassword(a.user, a.password), Host: a.server}
	return u.String()
}

func (a *address) read(raw string) (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	u, err := url.Parse(raw)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok && !strings.Contains(raw, "@") {
			return []string{inner.Err.Error()} // the outer one repeats the URL
		}
		return []string{"not a URL"}
	}
	a.scheme = u.Scheme
	switch u.Scheme {
	case "embedded":
		a.readDirectory(u, bad)
	case "nats":
		a.readServer(u, bad)
	case "mem":
		if u.Host != "" || u.Path != "" || u.User != nil {
			bad("mem:// has nothing behind it")
		}
	case "amqp", "amqps", "kafka":
		bad("%s:// is not built yet in this version", u.Scheme)
		return problems
	case "":
		bad("no scheme")
	default:
		bad("unknown scheme %q", u.Scheme)
	}
	if u.Opaque != "" {
		bad("no // behind %s:", u.Scheme)
	}
	if u.Fragment != "" {
		bad("a fragment (#) means nothing here")
	}
	a.readParameters(u, bad)
	return problems
}

func (a *address) readDirectory(u *url.URL, bad func(string, ...any)) {
	switch {
	case u.User != nil:
		bad("embedded:// has no user")
	case u.Host == "." || u.Host == "..":
		a.dir = u.Host + u.Path
	case u.Host != "":
		bad("a directory is written embedded:///abs/dir or embedded://./rel")
	case u.Path != "":
		a.dir = u.Path
	default:
		a.dir = defaultDir
	}
}

func (a *address) readServer(u *url.URL, bad func(string, ...any)) {
	if u.Hostname() == "" {
		bad("no host")
	}
	if u.Path != "" && u.Path != "/" {
		bad("a path means nothing here")
	}
	port := u.Port()
	if port == "" {
		port = "4222" // what NATS listens on unless told otherwise
	}
	a.server = net.JoinHostPort(u.Hostname(), port)
	if u.User != nil {
		a.user = u.User.Username()
		a.password, _ = u.User.Password()
	}
}

func (a *address) readParameters(u *url.URL, bad func(string, ...any)) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		bad("parameters: malformed")
	}
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		given := values[name]
		switch {
		case name != "prefix" && name != "journal" || a.scheme == "mem":
			bad("unknown parameter %q", name)
		case len(given) > 1:
			bad("parameter %q given %d times", name, len(given))
		case name == "journal" && given[0] == "":
			bad("journal: want a directory")
		case name == "journal":
			a.journal = given[0]
		case transport.CheckGroup(given[0]) != nil:
			bad("prefix %q: want a word of a-z, 0-9 and '-'", given[0])
		default:
			a.prefix = given[0]
		}
	}
}

// hidden stands for what is not printed.
const hidden = "xxxxx"

// redact hides whatever may be a secret in a URL that need not be well-formed: all between the scheme and the last
// '@', and the values of parameters.
func redact(raw string) string {
	raw, query, asked := strings.Cut(raw, "?")
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		scheme, rest = "", raw
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = hidden + rest[i:]
	}
	if ok {
		rest = scheme + "://" + rest
	}
	if asked {
		rest += "?" + query
	}
	return rest
}
