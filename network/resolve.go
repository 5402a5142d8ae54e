package network

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
)

// resolve finds the network that is meant: url, else PARLEY_NETWORK, else that of a running `parley dev` of this
// user, else an embedded one. dev says that its broker is that of a `parley dev`, whoever named it.
func resolve(url string, notice func(string)) (where address, dev bool, err error) {
	from := ""
	if url == "" {
		from, url = "PARLEY_NETWORK: ", os.Getenv("PARLEY_NETWORK")
	}
	if url != "" {
		if where, err = parse(url); err != nil {
			return where, false, fmt.Errorf("%s%w", from, err)
		}
		return where, where.join(), nil
	}
	running, ok, err := ReadRuntime()
	switch {
	case err != nil:
		return where, false, fmt.Errorf("find a running parley dev: %w; or name a network by PARLEY_NETWORK", err)
	case !ok:
		if where, err = parse("embedded://"); err == nil && notice != nil {
			notice(fmt.Sprintf("no parley dev runs: using a broker of its own in this process (%s), which no other process reaches", where))
		}
		return where, false, err
	}
	if where, err = running.address(); err != nil {
		return where, false, fmt.Errorf("runtime file of parley dev: %w", err)
	}
	if notice != nil {
		notice(fmt.Sprintf("using the network of the running parley dev (%s, process %d)", where, running.PID))
	}
	return where, running.Dev, nil
}

// join reports whether a is on the broker of a running `parley dev`, and takes from there what a does not say itself. Not
// to find out means that its faults do not reach this process, and that a has to say everything.
func (a *address) join() bool {
	if !a.elsewhere() {
		return false
	}
	running, ok, err := ReadRuntime()
	if err != nil || !ok || !running.Dev {
		return false
	}
	there, err := running.address()
	if err != nil || !a.beside(there) {
		return false
	}
	a.journal, a.survives = cmp.Or(a.journal, there.journal), cmp.Or(a.survives, there.survives)
	return true
}

// address is the network of a running `parley dev`, with journals beside its data unless its URL names a place.
func (r Runtime) address() (address, error) {
	a, err := parse(r.Open)
	if r.Dir != "" && a.journal == "" {
		a.journal = filepath.Join(r.Dir, defaultJournals)
	}
	return a, err
}
