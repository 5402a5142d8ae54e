package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// Open connects. It fails when the options are wrong, no broker answers, or the cluster would lose messages; an error
// that is certain wraps a [transport.Error] with another code than Unavailable. Afterwards connections come back by
// themselves, for as long as it takes.
func Open(ctx context.Context, o Options) (*Broker, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	survives, err := look(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("kafka: connect to %s%s: %w", strings.Join(o.Brokers, ","), o.as(), err)
	}
	b := &Broker{
		options: o, names: names{o.Prefix},
		channels: make(map[string]transport.Channel), topics: make(map[string]kadm.TopicID),
		closing: make(chan struct{}), dead: make(chan struct{}), buried: make(chan struct{}),
		features: transport.Features{MaxBytes: transport.DefaultMaxBody, Delay: MaxDelay, Streams: true, Survives: survives},
	}
	b.registry = newRegistry(b)
	if b.producer.client, err = o.newProducer(); err == nil {
		b.client, err = o.client()
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	b.admin = kadm.NewClient(b.client)
	return b, nil
}

// as is the user in words.
func (o *Options) as() string {
	s := " without TLS"
	if o.TLS != nil {
		s = " with TLS"
	}
	if o.SASL.Mechanism == "" {
		return s + ", without a user"
	}
	return s + ", as " + strconv.Quote(o.SASL.User) + " by " + o.SASL.Mechanism
}

// look asks the cluster once who it is, with little patience, and says what its confirmations survive.
func look(ctx context.Context, o *Options) (survives string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	cl, err := o.client(kgo.RequestRetries(1), kgo.RetryTimeout(dialLimit))
	if err != nil {
		return "", err
	}
	defer cl.Close()
	if err := cl.Ping(ctx); err != nil {
		return "", refusal(err)
	}
	admin := kadm.NewClient(cl)
	if err := checkVersion(ctx, admin); err != nil {
		return "", err
	}
	brokers, err := admin.ListBrokers(ctx)
	if err != nil {
		return "", refusal(err)
	}
	var s settings
	if s, err = readSettings(ctx, admin, brokers.NodeIDs()); err != nil {
		return "", err
	}
	if o.Replicas > 0 {
		s.replicas = o.Replicas
	}
	s.brokers = len(brokers)
	return s.survive()
}

// refusal says what a failed first contact means and what to do about it.
func refusal(err error) error {
	certain := func(code transport.Code, what string) error {
		return &transport.Error{Code: code, Message: what, NoRetry: true, Cause: err}
	}
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var verification *tls.CertificateVerificationError
	var alert tls.AlertError
	_, first := errors.AsType[*kgo.ErrFirstReadEOF](err)
	first = first || strings.Contains(err.Error(), "tls alert") // the client library has no type for that
	switch {
	case errors.Is(err, errAsk):
		return &transport.Error{Code: transport.Unavailable, Message: "the password is not known", Cause: err}
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return certain(transport.Unauthenticated, "the cluster does not know this user with this password: check both, and the mechanism that the user was made for")
	case errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		return certain(transport.FailedPrecondition, "the broker's listener does not take this SASL mechanism: use another mechanism or port")
	case errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed):
		return certain(transport.PermissionDenied, "this user may not do that: give it the rights that the package's documentation lists")
	case errors.As(err, &record):
		return certain(transport.FailedPrecondition, "the broker's listener does not speak TLS: connect without TLS, or to its TLS port")
	case errors.As(err, &authority), errors.As(err, &verification), errors.As(err, &alert):
		return certain(transport.Unauthenticated, "the TLS handshake failed: check the certificate authorities, the host's name, and the client's certificate")
	case first:
		return certain(transport.FailedPrecondition, "the broker closes the connection at once: its listener wants TLS, or a user by SASL, or none of that")
	}
	return &transport.Error{Code: transport.Unavailable, Message: "no broker answers: check the addresses, and that the cluster runs", Cause: err}
}

// oldest is the first release whose transactions are sound; before it, a delayed message could be carried by a
// transaction that the next one takes for its own (KIP-890).
const oldest = 4

func checkVersion(ctx context.Context, admin *kadm.Client) error {
	versions, err := admin.ApiVersions(ctx)
	if err != nil {
		return refusal(err)
	}
	for _, v := range versions.Sorted() {
		guess := v.VersionGuess()
		word := strings.TrimLeft(guess, "abcdefghijklmnopqrstuvwxyz ")
		major, _, _ := strings.Cut(strings.TrimPrefix(word, "v"), ".")
		if n, err := strconv.Atoi(major); v.Err == nil && err == nil && n < oldest {
			return &transport.Error{Code: transport.FailedPrecondition, NoRetry: true, Message: fmt.Sprintf(
				"broker %d is Kafka %s: want 4.0 or later, whose transactions lose and double nothing: update it", v.NodeID, guess)}
		}
	}
	return nil
}

// denied reports whether the cluster says that we have no right to something.
func denied(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed) ||
		errors.Is(err, kerr.ClusterAuthorizationFailed) || errors.Is(err, kerr.TransactionalIDAuthorizationFailed)
}
