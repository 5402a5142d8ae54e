package network

import (
	"fmt"
	"os"
	"path/filepath"
)

// resolve finds the network that is meant: url, else PARLEY_NETWORK, else that of a running `parley dev` of this
// user, else an embedded one. dev says that it is that of a `parley dev`, whoever named it.
func resolve(url string, notice func(string)) (where address, dev bool, err error) {
	from := ""
	if url == "" {
		from, url = "PARLEY_NETWORK: ", os.Getenv("PARLEY_NETWORK")
	}
	if url != "" {
		if where, err = parse(url); err != nil {
			return where, false, fmt.Errorf("%s%w", from, err)
		}
		if where.scheme != "nats" {
			return where, false, nil
		}
	}
	running, ok, err := ReadRuntime()
	switch {
	case url != "":
		// Not to find out about a parley dev means that its faults do not reach this process, and that journals are kept
		// elsewhere unless the URL says where.
		if dev = err == nil && ok && running.Dev && running.URL == "nats://"+where.server; dev {
			where.keepBeside(running)
		}
		return where, dev, nil
	case err != nil:
		return where, false, fmt.Errorf("find a running parley dev: %w; or name a network by PARLEY_NETWORK", err)
	case !ok:
		if where, err = parse("embedded://"); err == nil && notice != nil {
			notice(fmt.Sprintf("no parley dev runs: using a broker of its own in this process (%s), which no other process reaches", where))
		}
		return where, false, err
	}
	if where, err = parse(running.URL); err != nil {
		return where, false, fmt.Errorf("runtime file of parley dev: %w", err)
	}
	if where.user == "" {
		where.user = running.Token
	}
	where.keepBeside(running)
	if notice != nil {
		notice(fmt.Sprintf("using the network of the running parley dev (%s, process %d)", where, running.PID))
	}
	return where, running.Dev, nil
}

// keepBeside puts journals beside the data of a running `parley dev`, unless the URL named a place.
func (a *address) keepBeside(dev Runtime) {
	if dev.Dir != "" && a.journal == "" {
		a.journal = filepath.Join(dev.Dir, defaultJournals)
	}
}
