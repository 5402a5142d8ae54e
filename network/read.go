package network

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-io/parley/transport"
)

// problem notes something that is wrong with a URL.
type problem = func(format string, args ...any)

// read understands raw and lists everything that is wrong with it. No problem shows a part of raw that can hold a password.
func (a *address) read(raw string) (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	single, servers := oneServer(raw)
	u, err := url.Parse(single)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok && !strings.Contains(raw, "@") {
			return []string{inner.Err.Error()} // the outer one repeats the URL
		}
		return []string{"not a URL"}
	}
	a.scheme = u.Scheme
	if u.Host != "" && strings.Contains(u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@") { // what follows may be a part of a password
		return []string{"an @ behind the servers: write it as %40, and in a password / as %2F, ? as %3F and # as %23"}
	}
	switch u.Scheme {
	case schemeEmbedded:
		a.readDirectory(u, bad)
	case schemeMem:
		if u.Host != "" || u.Path != "" || u.User != nil {
			bad("mem:// has nothing behind it")
		}
	case "nats", "tls", "amqp", "amqps", "kafka":
		a.readServers(u, servers, bad)
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
	if a.readParameters(u, bad); a.elsewhere() {
		a.checkTogether(bad)
	}
	return problems
}

// oneServer is raw with only the first of its servers, which net/url understands, and all of them.
func oneServer(raw string) (single string, servers []string) {
	scheme, rest, _ := strings.Cut(raw, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	begin := strings.LastIndexByte(rest[:end], '@') + 1
	servers = strings.Split(rest[begin:end], ",")
	if len(servers) == 1 {
		return raw, servers
	}
	return scheme + "://" + rest[:begin] + servers[0] + rest[end:], servers
}

func (a *address) readDirectory(u *url.URL, bad problem) {
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

// readServers reads what is before the parameters of a broker elsewhere.
func (a *address) readServers(u *url.URL, servers []string, bad problem) {
	usual := map[string]string{"nats": "4222", "tls": "4222", "amqp": "5672", "amqps": "5671", "kafka": "9092"}[u.Scheme] // by convention
	switch u.Scheme {
	case "tls":
		a.scheme, a.secure = schemeNATS, true
	case "amqps":
		a.scheme, a.secure = schemeAMQP, true
	}
	var hosts []string
	for i, s := range servers {
		h, err := url.Parse("//" + s)
		if err != nil || h.Hostname() == "" {
			bad("no host in place %d: want HOST[:PORT]", i+1)
			continue
		}
		hosts = append(hosts, net.JoinHostPort(h.Hostname(), cmp.Or(h.Port(), usual)))
	}
	a.servers = strings.Join(hosts, ",")
	if u.User != nil {
		a.user = u.User.Username()
		a.password, _ = u.User.Password()
	}
	if a.password != "" && a.user == "" {
		bad("a password without a user")
	}
	switch {
	case a.scheme == schemeAMQP:
		if a.vhost = strings.TrimPrefix(u.Path, "/"); a.vhost == "" {
			a.vhost = defaultVHost
		}
	case u.Path != "" && u.Path != "/":
		bad("a path means nothing here")
	}
}

// The values of parameters.
var (
	survivals  = []string{"process", "power", "node"} // each more than the one before
	mechanisms = []string{"plain", "scram-sha-256", "scram-sha-512"}
)

// Limits of the drivers.
const (
	maxReplicas = 5 // of JetStream
)

// parameters are those of each scheme.
var parameters = map[string][]string{
	schemeEmbedded: {"prefix", "journal"},
	schemeNATS:     {"prefix", "journal", "survives", "ca", "password-file", "replicas"},
	schemeAMQP:     {"prefix", "journal", "survives", "ca", "password-file"},
	schemeKafka:    {"prefix", "journal", "survives", "ca", "password-file", "replicas", "sasl", "tls"},
}

func (a *address) readParameters(u *url.URL, bad problem) {
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
		switch given := values[name]; {
		case !slices.Contains(parameters[a.scheme], name):
			bad("unknown parameter %q", name)
		case len(given) > 1:
			bad("parameter %q given %d times", name, len(given))
		default:
			a.readParameter(name, given[0], bad)
		}
	}
}

func (a *address) readParameter(name, value string, bad problem) {
	switch name {
	case "prefix":
		a.prefix = value
		if err := transport.CheckPrefix(value); err != nil {
			bad("%v", err)
		}
	case "journal":
		if a.journal = value; value == "" {
			bad("journal: want a directory")
		}
	case "ca":
		if a.ca = value; value == "" {
			bad("ca: want a file of certificates")
		}
	case "password-file":
		if a.passwordFile = value; value == "" {
			bad("password-file: want a file")
		}
	case "survives":
		if a.survives = value; !slices.Contains(survivals, value) {
			bad("survives %q: want one of %s", value, strings.Join(survivals, ", "))
		}
	case "sasl":
		if a.sasl = value; !slices.Contains(mechanisms, value) {
			bad("sasl %q: want one of %s", value, strings.Join(mechanisms, ", "))
		}
	case "tls":
		if a.secure = value == "on"; !a.secure && value != "off" {
			bad("tls %q: want on or off", value)
		}
	case "replicas":
		n, err := strconv.Atoi(value)
		if a.replicas = n; err != nil || n < 1 {
			bad("replicas %q: want a number from 1", value)
		}
	}
}

// checkTogether reports what does not fit together, and fills in what follows from the rest.
func (a *address) checkTogether(bad problem) {
	if a.ca != "" && !a.secure {
		bad("ca without TLS: want %s", map[string]string{schemeNATS: "tls://", schemeAMQP: "amqps://", schemeKafka: "tls=on"}[a.scheme])
	}
	if a.passwordFile != "" && a.password != "" {
		bad("password-file and a password: want one of them")
	}
	if a.passwordFile != "" && a.user == "" && a.scheme != schemeNATS {
		bad("password-file without a user: want %s://USER@", a.scheme)
	}
	if a.scheme == schemeNATS && a.replicas > maxReplicas {
		bad("replicas %q: JetStream has at most %d", strconv.Itoa(a.replicas), maxReplicas)
	}
	if a.scheme != schemeKafka {
		return
	}
	switch {
	case a.user == "" && a.sasl != "":
		bad("sasl without a user: want kafka://USER:PASSWORD@")
	case a.user != "" && a.password == "" && a.passwordFile == "":
		bad("a user without a password: want kafka://USER:PASSWORD@, or password-file=")
	case a.user != "" && a.sasl == "":
		a.sasl = "scram-sha-512"
	}
}
