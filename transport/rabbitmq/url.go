package rabbitmq

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// server is one host to try.
type server struct {
	url      string // as the client library takes it; never printed
	shown    string // without the password
	user     string
	named    bool // the URL has a user
	password bool // the URL has one
	vhost    string
	secure   bool
}

// checkPassword reports a URL that does not fit a password that comes from elsewhere. All servers have the same user.
func (s server) checkPassword() error {
	switch {
	case !s.named:
		return errors.New("option Password is set and the URL has no user: want amqp://USER@HOST")
	case s.password:
		return errors.New("option Password is set and the URL has one, too: want one of them")
	}
	return nil
}

// parseURL splits a URL with several hosts into one server for each.
func parseURL(s string) ([]server, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme != "amqp" && scheme != "amqps" {
		return nil, errors.New("URL: want amqp:// or amqps://USER:PASSWORD@HOST:PORT/VHOST")
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if strings.Contains(tail, "@") { // what is before it may be of the password
		return nil, errUnreadable
	}
	user, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, hosts = authority[:i+1], authority[i+1:]
	}
	if tail == "/" { // by the specification, the virtual host with an empty name; nobody means that
		tail = ""
	}
	var servers []server
	for host := range strings.SplitSeq(hosts, ",") {
		one, err := parseServer(scheme + "://" + user + strings.TrimSpace(host) + tail)
		if err != nil {
			return nil, err
		}
		servers = append(servers, one)
	}
	return servers, nil
}

var errUnreadable = errors.New("URL: unreadable: percent-encode what is special in user, password and virtual host")

func parseServer(s string) (server, error) {
	u, err := url.Parse(s)
	if err != nil { // its text has the password
		return server{}, errUnreadable
	}
	if u.Hostname() == "" {
		return server{}, errors.New("URL: no host")
	}
	for name := range u.Query() {
		if !slices.Contains([]string{"cacertfile", "certfile", "keyfile", "server_name_indication"}, name) {
			return server{}, fmt.Errorf("URL: unknown parameter %q: want cacertfile, certfile, keyfile or server_name_indication", name)
		}
	}
	vhost := strings.TrimPrefix(u.Path, "/")
	if vhost == "" {
		vhost = "/"
	}
	name := u.User.Username()
	if u.User == nil {
		name = "guest" // the client library's default
	}
	_, password := u.User.Password()
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return server{
		url: s, shown: shown.String(), user: name, named: u.User.Username() != "", password: password, vhost: vhost, secure: u.Scheme == "amqps",
	}, nil
}
