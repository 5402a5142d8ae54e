package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/parley-io/parley/transport"
)

// settings of a cluster that decide what is lost. The zero settings are unknown ones.
type settings struct {
	brokers  int
	replicas int  // of a new topic
	inSync   int  // that must have a message before it is confirmed
	unclean  bool // one that lacks messages may become the leader
}

// readSettings asks one of the brokers. Who may not ask gets the zero settings.
func readSettings(ctx context.Context, admin *kadm.Client, brokers []int32) (s settings, err error) {
	if len(brokers) == 0 {
		return s, nil
	}
	found, err := admin.DescribeBrokerConfigs(ctx, brokers[0])
	if err == nil {
		var c kadm.ResourceConfig
		if c, err = found.On(strconv.Itoa(int(brokers[0])), nil); err == nil {
			err = c.Err
		}
		for _, config := range c.Configs {
			v := config.MaybeValue()
			n, _ := strconv.Atoi(v) // what is no number is not one of these
			switch config.Key {
			case "default.replication.factor":
				s.replicas = n
			case "min.insync.replicas":
				s.inSync = n
			case "unclean.leader.election.enable":
				s.unclean = v == "true"
			}
		}
	}
	var denied *kadm.AuthError
	switch {
	case errors.As(err, &denied), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return settings{}, nil
	case err != nil:
		return s, fmt.Errorf("ask broker %d for its settings: %w", brokers[0], refusal(err))
	}
	return s, nil
}

// survive is what a confirmation survives, or an error that says which setting would lose it.
func (s settings) survive() (string, error) {
	bad := func(format string, args ...any) error {
		return &transport.Error{Code: transport.FailedPrecondition, NoRetry: true, Message: fmt.Sprintf(format, args...)}
	}
	var errs []error
	if s.unclean {
		errs = append(errs, bad("the cluster loses confirmed messages: set unclean.leader.election.enable=false"))
	}
	if s.replicas >= 2 && s.inSync == 1 {
		errs = append(errs, bad("the cluster loses confirmed messages with one broker: set min.insync.replicas=2 (it is 1, with %d replicas)", s.replicas))
	}
	if s.brokers > 0 && s.replicas > s.brokers {
		errs = append(errs, bad("%d replicas on %d brokers: ask for fewer, or set default.replication.factor", s.replicas, s.brokers))
	}
	if len(errs) > 0 {
		return "", errors.Join(errs...)
	}
	if s.brokers >= 3 && s.replicas >= 3 && s.inSync >= 2 {
		return "node", nil
	}
	return "process", nil
}
