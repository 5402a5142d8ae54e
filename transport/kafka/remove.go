package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/parley-io/parley/transport"
)

// RemoveAll deletes every topic and consumer group of the prefix, with all that they hold, for environments that were
// made to be thrown away; members of the groups are expelled. It is for a Broker that has declared and received nothing,
// once nobody else uses the prefix: who still does makes things anew. The cluster is asked what there is, so the channels
// and groups that the caller knows of are not needed. What the cluster notes about transactional ids it forgets by
// itself, after transactional.id.expiration.ms (7 days if not set).
func (b *Broker) RemoveAll(ctx context.Context, _ []transport.Route) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	if err := errors.Join(b.removeGroups(ctx), b.removeTopics(ctx)); err != nil {
		return fmt.Errorf("kafka: remove everything of %s: %w", b.options.Prefix, err)
	}
	return nil
}

func (b *Broker) removeGroups(ctx context.Context) error {
	all, err := b.admin.ListGroups(ctx)
	if err != nil {
		return fmt.Errorf("list groups: %w", err)
	}
	var errs []error
	for _, g := range all.Groups() {
		if !strings.HasPrefix(g, b.names.topic("")) {
			continue
		}
		if err := b.disband(ctx, g); err != nil {
			errs = append(errs, fmt.Errorf("delete group %s: %w", g, err))
		}
	}
	return errors.Join(errs...)
}

func (b *Broker) removeTopics(ctx context.Context) error {
	all, err := b.admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	var topics []string
	for _, t := range all.Names() {
		if strings.HasPrefix(t, b.names.topic("")) {
			topics = append(topics, t)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	answers, err := b.admin.DeleteTopics(ctx, topics...)
	if err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	var errs []error
	for _, a := range answers.Sorted() {
		if a.Err != nil && !errors.Is(a.Err, kerr.UnknownTopicOrPartition) {
			errs = append(errs, fmt.Errorf("delete topic %s: %w", a.Topic, a.Err))
		}
	}
	return errors.Join(errs...)
}
