package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// SASL is a user. Its password never appears in an error.
type SASL struct {
	Mechanism string // "" = no user; "plain", which wants TLS around it, "scram-sha-256" or "scram-sha-512"
	User      string
	Password  string
	// Ask is asked for the password in place of Password, whenever one is shown: at each new connection, so that one that is
	// rotated takes hold without a restart. It may be called concurrently, and has to answer at once, from a file for
	// example; an error from it is a failed try to connect, after which it is asked again. nil = Password.
	//
	// A broker goes on with connections that were made with an old password, for as long as they last; unless it has
	// connections.max.reauth.ms, which ends those that do not show the new one by then. Where the new password is told before
	// the cluster knows it, or after, new connections fail in between, and nothing else does.
	Ask func() (string, error)
}

// errAsk is an error of Ask.
var errAsk = errors.New("ask for the password")

func (s SASL) check() error {
	if want := []string{"", "plain", "scram-sha-256", "scram-sha-512"}; !slices.Contains(want, s.Mechanism) {
		return fmt.Errorf("SASL mechanism %q: want one of %q", s.Mechanism, want[1:])
	}
	switch {
	case s.Mechanism == "" && s.User != "":
		return errors.New("a user without a SASL mechanism: want plain, scram-sha-256 or scram-sha-512")
	case s.Mechanism == "":
		return nil
	case s.Password != "" && s.Ask != nil:
		return fmt.Errorf("SASL mechanism %s: set either Password or Ask", s.Mechanism)
	case s.User == "" || s.Password == "" && s.Ask == nil:
		return fmt.Errorf("SASL mechanism %s: want a user and a password", s.Mechanism)
	}
	return nil
}

// password is the one to show now.
func (s SASL) password() (string, error) {
	if s.Ask == nil {
		return s.Password, nil
	}
	password, err := s.Ask()
	if err == nil && password == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", errAsk, err)
	}
	return password, nil
}

// mechanism is nil without a user.
func (s SASL) mechanism() sasl.Mechanism {
	salted := func(context.Context) (scram.Auth, error) {
		password, err := s.password()
		return scram.Auth{User: s.User, Pass: password}, err
	}
	switch s.Mechanism {
	case "plain":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := s.password()
			return plain.Auth{User: s.User, Pass: password}, err
		})
	case "scram-sha-256":
		return scram.Sha256(salted)
	case "scram-sha-512":
		return scram.Sha512(salted)
	}
	return nil
}
