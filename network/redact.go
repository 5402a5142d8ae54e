package network

import (
	"errors"
	"net/url"
	"strings"

	"github.com/parley-io/parley/transport"
)

// hidden stands for what is not printed.
const hidden = "xxxxx"

// redact hides whatever may be a secret in a URL that need not be well-formed: all between the scheme and the last '@'.
func redact(raw string) string {
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
	return rest
}

// discreet is err without the password of a, in whatever form: what a driver, or a library below it, says may hold it.
func (a address) discreet(err error) error {
	secret := a.password
	switch {
	case a.passwordFile != "":
		secret, _ = a.readPassword() // the one that was shown last, unless it has just been rotated
	case a.token():
		secret = a.user
	}
	if err == nil || secret == "" {
		return err
	}
	clean := strings.NewReplacer(
		secret, hidden, url.QueryEscape(secret), hidden, url.PathEscape(secret), hidden,
		strings.TrimPrefix(url.UserPassword("", secret).String(), ":"), hidden,
	).Replace
	text := err.Error()
	if clean(text) == text {
		return err
	}
	r := &redacted{text: clean(text), err: err}
	if e, ok := errors.AsType[*transport.Error](err); ok {
		r.code = &transport.Error{Code: e.Code, Message: clean(e.Message), NotSent: e.NotSent, RetryAfter: e.RetryAfter, NoRetry: e.NoRetry}
		if e.Cause != nil {
			r.code.Cause = errors.New(clean(e.Cause.Error()))
		}
	}
	return r
}

// redacted is an error whose text held a secret. It is the same error to [errors.Is].
type redacted struct {
	text string
	err  error
	code *transport.Error // as err has it, without secrets; nil = none
}

func (r *redacted) Error() string { return r.text }

func (r *redacted) Is(target error) bool { return errors.Is(r.err, target) }

// Unwrap gives nothing that holds the secret.
func (r *redacted) Unwrap() error {
	if r.code == nil {
		return nil
	}
	return r.code
}
