package nats

import "strings"

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
