package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// Options say which cluster, and how. Brokers is required.
type Options struct {
	// Brokers are some of the cluster's, as "host:port"; the others are learnt from them.
	Brokers []string
	// TLS is how to encrypt; nil = not at all.
	TLS *tls.Config
	// SASL is who we are; the zero SASL is nobody.
	SASL SASL
	// Prefix keeps environments apart on one cluster; "" = "parley". One word of a-z, 0-9 and '-', at most 32 characters.
	Prefix string
	// Name is the client id, which the cluster's logs, metrics and quotas show; "" = "parley".
	Name string
	// Replicas of each topic that this Broker creates; 0 = the cluster's default.
	Replicas int
}

// Durations and numbers that others rely on.
const (
	// UnorderedPartitions is how many partitions the topic of an unordered Queue or Topic has.
	UnorderedPartitions = 8
	// MaxDelay is the longest NotBefore from now.
	MaxDelay = 100 * 365 * 24 * time.Hour
	// Session is after how long the cluster gives the partitions of a silent receiver to others.
	Session = 6 * time.Second
	// Lease is how long after the last confirmed heartbeat a delivery counts as valid: less than Session.
	Lease = Session - 500*time.Millisecond

	heartbeat     = time.Second // what was measured to leave room for a few that are late
	dialLimit     = 5 * time.Second
	answerLimit   = 10 * time.Second // for the cluster's answer where nobody gave a deadline
	maxReplicas   = 100
	maxMessage    = 1 << 20  // bytes of a message with everything, which topics are created to take
	maxBuffered   = 64 << 20 // bytes of what waits for the cluster
	maxBufferedNo = 100_000  // messages that wait for the cluster
)

// check reports everything that is wrong with o and fills in what is not set.
func (o *Options) check() error {
	var errs []error
	if len(o.Brokers) == 0 {
		errs = append(errs, errors.New("no brokers: want at least one host:port"))
	}
	for _, b := range o.Brokers {
		if _, port, err := net.SplitHostPort(b); err != nil || port == "" {
			errs = append(errs, fmt.Errorf("broker %q: want host:port", b))
		}
	}
	if o.Prefix == "" {
		o.Prefix = "parley"
	}
	errs = append(errs, transport.CheckPrefix(o.Prefix))
	if o.Name == "" {
		o.Name = "parley"
	}
	if o.Replicas < 0 || o.Replicas > maxReplicas {
		errs = append(errs, fmt.Errorf("%d replicas: want 0 for the cluster's default, or more", o.Replicas))
	}
	return errors.Join(append(errs, o.SASL.check())...)
}

// client is what every client of this Broker has in common. more wins over it.
func (o *Options) client(more ...kgo.Opt) (*kgo.Client, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(o.Brokers...),
		kgo.ClientID(o.Name),
		kgo.DialTimeout(dialLimit),
		kgo.MetadataMinAge(250 * time.Millisecond), // so that a new leader is found soon
		kgo.RetryBackoffFn(retryPause),
		kgo.DisableClientMetrics(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	}
	if o.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(o.TLS.Clone()))
	}
	if m := o.SASL.mechanism(); m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return kgo.NewClient(append(opts, more...)...)
}
