package embedded

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Options say where a Server keeps its data and who may connect. Only Dir is required.
type Options struct {
	// Dir is where the data is. It is made if it does not exist. One process at a time may own it.
	Dir string
	// Listen is "host:port" of a loopback address, port 0 = any free one; then Token is required. "" = no socket:
	// only this process connects, by [Server.InProcessConn].
	Listen string
	// Token is what a connection must show, at least 16 visible characters. "" = none is asked for; only without Listen.
	Token string
	// MaxBytes bounds what all channels together hold on disk. 0 = 64 GiB. A full one refuses messages; it drops none.
	MaxBytes int64
	// Warn takes what the server has to say about trouble, a line each, from any goroutine; nil = it says nothing.
	Warn func(line string)
}

const (
	defaultMaxBytes = 64 << 30
	minToken        = 16
)

// check reports everything that is wrong with o.
func (o *Options) check() error {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("no directory: set Options.Dir"))
	}
	if o.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("MaxBytes %d: want 0 or more", o.MaxBytes))
	}
	if o.Token != "" && (len(o.Token) < minToken || strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' })) {
		errs = append(errs, fmt.Errorf("token: want at least %d visible ASCII characters", minToken))
	}
	if o.Listen != "" {
		errs = append(errs, o.checkListen())
	}
	return errors.Join(errs...)
}

func (o *Options) checkListen() error {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return fmt.Errorf("listen %q: want host:port, such as 127.0.0.1:4222: %w", o.Listen, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("listen %q: want a loopback address; run a NATS server with TLS for other machines", o.Listen)
	}
	if o.Token == "" {
		return fmt.Errorf("listen %q: every user of this machine could connect: set Options.Token", o.Listen)
	}
	return nil
}
