package servers

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Cluster is three servers of a kind on this machine, of which one may be lost at a time: JetStream that syncs always,
// Kafka brokers that are controllers too with three copies of which two have to be in sync, RabbitMQ nodes whose quorum
// queues and streams have a copy on each. Not for concurrent use, but for Nodes beside each other.
type Cluster struct {
	// URL names all nodes, their addresses joined by commas.
	URL string
	// Nodes can be killed, frozen and restarted by themselves.
	Nodes []*Server

	kind Kind
}

// syncEvery is between two looks at the copies.
const syncEvery = 200 * time.Millisecond

// StartCluster starts three servers and returns when they serve and have found each other. Options are those of each
// node; Dir, where it is named, gets a directory for each, and Log may be written to by several goroutines at once. ctx as
// in [Start].
func StartCluster(ctx context.Context, kind Kind, options Options) (*Cluster, error) {
	if options.Advertise != "" {
		return nil, errors.New("starting a cluster: Advertise is for a server alone")
	}
	layout, err := newLayout(ctx, nodes)
	if err != nil {
		return nil, err
	}
	c := &Cluster{kind: kind, URL: layout.url(kind, layout.addresses(0)...)}
	for i := range nodes {
		own := options
		if own.Dir != "" {
			own.Dir = filepath.Join(own.Dir, strconv.Itoa(i+1))
		}
		c.Nodes = append(c.Nodes, &Server{kind: kind, options: own, layout: layout, node: i})
	}
	if err = c.start(ctx); err == nil {
		err = c.InSync(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting a cluster: %w", err), c.Stop(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// start starts the nodes all at once, because a node of Kafka serves only beside another, but those of RabbitMQ one
// after the other, because each joins those that it finds.
func (c *Cluster) start(ctx context.Context) error {
	if c.kind == RabbitMQ {
		for _, s := range c.Nodes {
			if err := s.start(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	return c.each(func(s *Server) error { return s.start(ctx) })
}

// InSync waits until every copy of everything that is stored is on its node and has caught up with what was stored when
// it was looked at. All nodes have to run. Each look takes seconds on Kafka and RabbitMQ.
func (c *Cluster) InSync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	look := map[Kind]func(context.Context) error{NATS: c.natsInSync, Kafka: c.kafkaInSync, RabbitMQ: c.rabbitInSync}[c.kind]
	behind := errors.New("nobody has answered")
	for {
		switch err := look(ctx); {
		case err == nil:
			return nil
		case ctx.Err() == nil: // else it says only that it was broken off
			behind = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the copies on the nodes of %s are not in sync: %w: %w", c.kind, behind, ctx.Err())
		case <-time.After(syncEvery):
		}
	}
}

// KeepLogs has Stop keep the logs of all nodes.
func (c *Cluster) KeepLogs(keep bool) {
	for _, s := range c.Nodes {
		s.KeepLogs = keep
	}
}

// Stop ends all nodes as [Server.Stop] does.
func (c *Cluster) Stop(ctx context.Context) error {
	if c.kind != RabbitMQ {
		return c.each(func(s *Server) error { return s.Stop(ctx) })
	}
	var failed []error
	for i := len(c.Nodes) - 1; i >= 0; i-- { // the first has the epmd of all
		failed = append(failed, c.Nodes[i].Stop(ctx))
	}
	return errors.Join(failed...)
}

// each does something with all nodes at once.
func (c *Cluster) each(do func(*Server) error) error {
	errs := make([]error, len(c.Nodes))
	var all sync.WaitGroup
	for i, s := range c.Nodes {
		all.Go(func() { errs[i] = do(s) })
	}
	all.Wait()
	return errors.Join(errs...)
}
