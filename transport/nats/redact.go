package nats

import (
	"net/url"
	"strings"
)

// redact takes user, password and token out of server URLs.
func redact(servers string) string {
	words := strings.Split(servers, ",")
	for i, w := range words {
		u, err := url.Parse(strings.TrimSpace(w))
		if err != nil {
			words[i] = "an unreadable URL"
			continue
		}
		u.User = nil
		words[i] = u.String()
	}
	return strings.Join(words, ",")
}
