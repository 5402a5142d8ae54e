package nats

import (
	"errors"
	"net/url"
	"strings"
)

// everywhere gives each of several URLs, joined by commas, the scheme and the user of the first one where it has none: a
// connection that is lost comes back at any of them.
func everywhere(urls string) string {
	all := strings.Split(urls, ",")
	scheme, rest, ok := strings.Cut(strings.TrimSpace(all[0]), "://")
	if !ok {
		scheme, rest = "nats", scheme
	}
	user := rest[:strings.LastIndex(rest, "@")+1]
	for i, u := range all {
		u = strings.TrimSpace(u)
		s, where, ok := strings.Cut(u, "://")
		if !ok {
			s, where = scheme, u
		}
		if !strings.Contains(where, "@") {
			where = user + where
		}
		all[i] = s + "://" + where
	}
	return strings.Join(all, ",")
}

// anonymous takes their one user out of server URLs, for connections whose password comes from elsewhere; "" = they have
// none. Of no servers it is nothing.
func anonymous(servers string) (urls, user string, err error) {
	if servers == "" {
		return "", "", nil
	}
	all := strings.Split(everywhere(servers), ",")
	for i, s := range all {
		u, err := url.Parse(s)
		if err != nil { // its text has what it could not read
			return "", "", errors.New("URL: unreadable: percent-encode what is special in the user")
		}
		if _, too := u.User.Password(); too {
			return "", "", errors.New("option Password is set and the URL has one, too: want one of them")
		}
		if i > 0 && u.User.Username() != user {
			return "", "", errors.New("option Password is set and the URL names several users: want one")
		}
		user, u.User = u.User.Username(), nil
		all[i] = u.String()
	}
	return strings.Join(all, ","), user, nil
}
