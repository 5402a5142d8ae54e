package servers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// kafkaInSync asks Kafka's own tool for partitions that lack a copy in sync. What the broker says that was asked is as
// old as its metadata, which a broker has caught up with before it serves.
func (c *Cluster) kafkaInSync(ctx context.Context) error {
	s := c.Nodes[0]
	if err := s.ours("look at"); err != nil {
		return err
	}
	java := s.main()
	cmd := exec.CommandContext(ctx, java.path, "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", java.jars(), //nolint:gosec // what this package installs
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "org.apache.kafka.tools.TopicCommand",
		"--bootstrap-server", strings.Join(s.layout.addresses(kafkaClients), ","), "--describe", "--under-replicated-partitions")
	cmd.Env, cmd.Dir = java.env, filepath.Dir(s.Logs)
	said, err := output(cmd)
	if err != nil {
		return err
	}
	if lacking := strings.TrimSpace(said); lacking != "" {
		first, rest, _ := strings.Cut(lacking, "\n")
		return fmt.Errorf("%d partitions lack a copy, such as %s", 1+strings.Count(rest, "\n"), strings.TrimSpace(first))
	}
	return errors.Join(ctx.Err())
}
