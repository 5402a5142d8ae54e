package servers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Use is the server that the kind's [Kind.Variable] names, else one that is started in a temporary directory.
func Use(ctx context.Context, kind Kind) (*Server, error) {
	named := os.Getenv(kind.Variable())
	if named == "" {
		return Start(ctx, kind, Options{})
	}
	address, err := addressOf(named)
	if err == nil {
		err = dial(ctx, address)
	}
	if err != nil {
		return nil, fmt.Errorf("%s names no %s that can be reached; start one (make services) or unset it, and one is started: %w",
			kind.Variable(), kind, err)
	}
	return &Server{URL: named, kind: kind}, nil
}

// addressOf is the host and port of a URL, the first one where several are named. Its errors tell nothing of the URL, which
// may hold a password.
func addressOf(named string) (string, error) {
	first, _, _ := strings.Cut(named, ",")
	u, err := url.Parse(first)
	if err != nil || u.Hostname() == "" || u.Port() == "" {
		return "", errors.New("want SCHEME://HOST:PORT")
	}
	return u.Host, nil
}
