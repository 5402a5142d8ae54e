package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"strings"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

const (
	// apiLevel of JetStream that has what this driver uses: schedules and atomic batches are of 2.12, the reset of a
	// consumer of 2.14, whose level this is.
	apiLevel = 4
	// minPayload holds a message of MaxBytes whose headers are escaped, three bytes for one.
	minPayload = 3 * transport.DefaultMaxBody
)

var errSilentServer = errors.New("the server does not answer")

// examine reports everything about the server that would lose messages or make this driver fail later.
func (b *Broker) examine(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b.confirms.whenDenied(cancel)
	defer b.confirms.whenDenied(nil)
	info, err := b.js.AccountInfo(ctx)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return unfit("JetStream is off: set `jetstream { store_dir: … }` in the server's configuration")
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return unfit("JetStream is off for this account: set `jetstream: enabled` in it")
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("ask for JetStream: %w", context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("ask for JetStream: %w", err)
	}
	if err := b.nc.LastError(); errors.Is(err, natsio.ErrPermissionViolation) { // of what is subscribed to
		return notAllowed(err)
	}
	return errors.Join(append(b.unfitServer(info.API.Level), b.unfitAccount(info)...)...)
}

func (b *Broker) unfitServer(level int) (errs []error) {
	if level < apiLevel {
		errs = append(errs, unfit("the server is version %s, JetStream API level %d: want level %d, that is nats-server 2.14 or later, better 2.15",
			b.nc.ConnectedServerVersion(), level, apiLevel))
	}
	if n := b.nc.MaxPayload(); n < minPayload {
		errs = append(errs, unfit("max_payload is %d: want at least %d in the server's configuration (its default is 1MB)", n, minPayload))
	}
	cluster, o := b.nc.ConnectedClusterName(), b.options
	switch {
	case cluster == "" && (o.Replicas > 1 || o.Survives == "node"):
		errs = append(errs, unfit("%d replicas that survive %q: the server is in no cluster: use three servers, or one replica and survives \"power\"", o.Replicas, o.Survives))
	case cluster != "" && o.Survives == "node" && o.Replicas < 3:
		errs = append(errs, unfit("survives \"node\" with %d replicas: set 3", o.Replicas))
	case cluster != "" && o.Replicas == 1 && o.Survives != "process":
		errs = append(errs, unfit("one replica in the cluster %s is away, or lost, with its server: set 3 replicas, or accept that with survives \"process\"", cluster))
	}
	return errs
}

func (b *Broker) unfitAccount(info *jetstream.AccountInfo) []error {
	t, ok := b.tier(info)
	if !ok {
		return []error{unfit("the account has no limits for %d replicas, hence may store nothing: give it a tier R%d", b.options.Replicas, b.options.Replicas)}
	}
	if t.Limits.MaxStore == 0 {
		return []error{unfit("the account may store nothing on disk: raise max_file in its jetstream limits")}
	}
	b.room.know(int64(min(t.Store, math.MaxInt64)), t.Limits.MaxStore) // a full one is fit: receivers make room
	return nil
}

func unfit(format string, args ...any) error {
	return &transport.Error{Code: transport.FailedPrecondition, Message: fmt.Sprintf(format, args...), NotSent: true}
}

// unopened gives an error of connecting its code, if trying again is useless.
func unopened(err error) error {
	certain := func(c transport.Code, message string) error {
		return &transport.Error{Code: c, Message: message, NotSent: true, Cause: err}
	}
	text := strings.ToLower(err.Error())
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, spoken := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case unauthenticated(err), strings.Contains(text, "authorization violation"):
		return certain(transport.Unauthenticated, "the server refuses these credentials: correct user, password or token in the URL, or what the server's authorization says")
	case untrusted:
		return certain(transport.Unauthenticated, "the server's certificate is not trusted: give its authority in TLS.RootCAs, and a URL with a name that the certificate has")
	case strings.Contains(text, "remote error: tls"):
		return certain(transport.Unauthenticated, "the server refuses our certificate: give one that it trusts in TLS.Certificates")
	case errors.Is(err, natsio.ErrSecureConnWanted), spoken:
		return certain(transport.FailedPrecondition, "the server has no TLS: configure its tls block, or use a URL that begins nats:// and no TLS")
	case errors.Is(err, natsio.ErrSecureConnRequired):
		return certain(transport.FailedPrecondition, "the server wants TLS: use a URL that begins tls://")
	}
	return err
}

// unauthenticated reports whether the server has said that it does not want who we say that we are.
func unauthenticated(err error) bool {
	return errors.Is(err, natsio.ErrAuthorization) || errors.Is(err, natsio.ErrAuthExpired) || errors.Is(err, natsio.ErrAuthRevoked) ||
		errors.Is(err, natsio.ErrAccountAuthExpired)
}
