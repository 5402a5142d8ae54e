package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/parley-io/parley/transport"
)

// create makes a topic unless it is there, and waits until the cluster can use it.
func (b *Broker) create(ctx context.Context, topic string, partitions int, config map[string]string) (kadm.TopicDetail, error) {
	replicas := int16(-1) // the cluster's default
	if b.options.Replicas > 0 {
		replicas = int16(b.options.Replicas)
	}
	settings := make(map[string]*string, len(config))
	for k, v := range config {
		settings[k] = &v
	}
	_, err := b.admin.CreateTopic(ctx, int32(partitions), replicas, settings, topic)
	if denied(err) { // it may be there all the same
		if all, lerr := b.ask(ctx, topic); lerr == nil && all[topic].Err == nil && len(all[topic].Partitions) > 0 {
			return all[topic], nil
		}
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return kadm.TopicDetail{}, fmt.Errorf("create topic %s: %w", topic, err)
	}
	return b.find(ctx, topic)
}

// ask asks the cluster about topics. Without their operations the client answers from what it knew a moment ago.
func (b *Broker) ask(ctx context.Context, topics ...string) (kadm.TopicDetails, error) {
	return b.admin.ListTopics(kadm.WithAuthorizedOps(ctx), topics...)
}

// find waits until the cluster knows a topic that was just made, and who leads its partitions.
func (b *Broker) find(ctx context.Context, topic string) (kadm.TopicDetail, error) {
	for {
		all, err := b.ask(ctx, topic)
		if err != nil {
			return kadm.TopicDetail{}, err
		}
		t := all[topic]
		if err = t.Err; err == nil {
			for _, p := range t.Partitions {
				err = errors.Join(err, p.Err)
			}
		}
		if err == nil && len(t.Partitions) > 0 || denied(err) {
			return t, err
		}
		select {
		case <-time.After(tryAgain / 4):
		case <-ctx.Done():
			return t, errors.Join(fmt.Errorf("topic %s is not ready: %w", topic, ctx.Err()), err)
		}
	}
}

// make makes a topic of the driver's own, or finds that it is as it must be.
func (b *Broker) make(ctx context.Context, topic string, partitions int, config map[string]string) (kadm.TopicDetail, error) {
	found, err := b.create(ctx, topic, partitions, config)
	if err != nil {
		return found, err
	}
	if n := len(found.Partitions); n != partitions {
		return found, fmt.Errorf("%w: topic %s exists with %d partitions, want %d: delete it, or use another prefix", transport.ErrRefused, topic, n, partitions)
	}
	return found, b.sound(ctx, found, config)
}

// sound refuses a topic that somebody has made, or changed, so that it would lose messages.
func (b *Broker) sound(ctx context.Context, topic kadm.TopicDetail, config map[string]string) error {
	all, err := b.admin.DescribeTopicConfigs(ctx, topic.Topic)
	var found kadm.ResourceConfig
	if err == nil {
		if found, err = all.On(topic.Topic, nil); err == nil {
			err = found.Err
		}
	}
	if err != nil {
		return fmt.Errorf("ask for the settings of topic %s: %w", topic.Topic, err)
	}
	replicas := topic.Partitions.NumReplicas()
	var wrong []error
	bad := func(key, got, want string) {
		wrong = append(wrong, fmt.Errorf("%w: topic %s has %s=%s, want %s, without which it loses messages: change it, or use another topic",
			transport.ErrRefused, topic.Topic, key, got, want))
	}
	for _, c := range found.Configs {
		got := c.MaybeValue()
		switch c.Key {
		case "cleanup.policy", "message.timestamp.type", "retention.ms", "retention.bytes":
			if want, ok := config[c.Key]; ok && got != want {
				bad(c.Key, got, want)
			}
		case "unclean.leader.election.enable":
			if got != "false" {
				bad(c.Key, got, "false")
			}
		case "min.insync.replicas":
			if n, err := strconv.Atoi(got); replicas >= 2 && (err != nil || n < 2) {
				bad(c.Key, got, "2")
			}
		}
	}
	if b.features.Survives == "node" && replicas < 3 {
		bad("replicas", strconv.Itoa(replicas), "3")
	}
	return errors.Join(wrong...)
}

// topicConfig is what differs from the cluster's defaults. Replication and min.insync.replicas are the cluster's.
func topicConfig(c transport.Channel) map[string]string {
	config := map[string]string{
		"cleanup.policy":         "delete",
		"message.timestamp.type": "LogAppendTime", // the broker's clock
		"max.message.bytes":      strconv.Itoa(maxMessage),
		"retention.ms":           "-1",
		"retention.bytes":        "-1",
		"segment.bytes":          strconv.Itoa(largeSegment), // what the cluster frees at a time
	}
	if c.Pattern != transport.Stream {
		return config
	}
	if c.Retain > 0 {
		config["retention.ms"] = strconv.FormatInt(max(c.Retain.Milliseconds(), 1), 10)
		config["segment.ms"] = strconv.FormatInt(max((c.Retain/4).Milliseconds(), time.Minute.Milliseconds()), 10)
	}
	if c.RetainBytes > 0 {
		each := max(c.RetainBytes/int64(partitions(c)), 1)
		config["retention.bytes"] = strconv.FormatInt(each, 10)
		config["segment.bytes"] = strconv.FormatInt(min(max(each/4, smallSegment), largeSegment), 10)
	}
	return config
}

const (
	largeSegment = 128 << 20
	smallSegment = 2 << 20 // more than the largest message, and than the least that Kafka takes
)
