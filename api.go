package parley

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/parley-io/parley/transport"
)

// API is a named, versioned set of contracts: the only thing that two services share. Contracts are made while the
// program initialises, as package variables; the first use of any of them freezes the API, and a New… after that panics.
type API struct {
	name  string
	major int

	mu        sync.Mutex
	frozen    bool
	contracts []*contract
	errs      []*Error
	problems  []error // told by NewService and by the first use of a contract, together
}

// NewAPI returns an empty API. The name is a word of a-z, 0-9 and '-', by convention that of the service that
// owns it; major, from 1, is a part of every address ("orders.v1.get-quote"), so that two versions can live side by
// side. Inside a major version contracts change by additions only. What is wrong with an API's definitions is reported
// when it is used first.
func NewAPI(name string, major int) *API {
	a := &API{name: name, major: major}
	if err := transport.CheckGroup(name); err != nil {
		a.problems = append(a.problems, fmt.Errorf("api: %w", err))
	}
	if major < 1 {
		a.problems = append(a.problems, fmt.Errorf("api %s: version %d: want 1 or more", name, major))
	}
	return a
}

// Name is the API's name as addresses begin with: "orders.v1".
func (a *API) Name() string { return fmt.Sprintf("%s.v%d", a.name, a.major) }

// NewError declares an error that contracts of this API may answer. It crosses the wire by name, so that
// errors.Is(err, orders.ErrOutOfStock) holds at the caller too.
func (a *API) NewError(name string, code Code) *Error {
	e := &Error{Code: code, Name: a.Name() + "." + name}
	a.define("NewError", name, func() {
		if code == "" {
			a.problems = append(a.problems, fmt.Errorf("error %s: no code", e.Name))
		}
		if slices.ContainsFunc(a.errs, func(o *Error) bool { return o.Name == e.Name }) {
			a.problems = append(a.problems, fmt.Errorf("error %s is declared twice", e.Name))
		}
		a.errs = append(a.errs, e)
	})
	return e
}

// add makes c a contract of a.
func (a *API) add(verb string, c *contract) *contract {
	c.api, c.address = a, a.Name()+"."+c.name
	a.define(verb, c.name, func() {
		if slices.ContainsFunc(a.contracts, func(o *contract) bool { return o.address == c.address }) {
			a.problems = append(a.problems, fmt.Errorf("%s is defined twice", c.address))
		}
		a.contracts = append(a.contracts, c)
	})
	return c
}

func (a *API) define(verb, name string, do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.thaw(verb + " of " + name)
	if err := transport.CheckGroup(name); err != nil {
		a.problems = append(a.problems, fmt.Errorf("%s in %s: %w", verb, a.Name(), err))
	}
	do()
}

// thaw panics when a is in use; a.mu is held.
func (a *API) thaw(what string) {
	if a.frozen {
		panic(fmt.Sprintf("parley: %s in %s: the API is in use already; define contracts as package variables", what, a.Name()))
	}
}

// freeze ends the definition of a and reports everything that is wrong with it.
func (a *API) freeze() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.frozen {
		return errors.Join(a.problems...)
	}
	a.frozen = true
	for _, c := range a.contracts {
		if err := c.compile(); err != nil {
			a.problems = append(a.problems, err)
		}
	}
	return errors.Join(a.problems...)
}
