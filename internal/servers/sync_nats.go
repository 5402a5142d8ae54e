package servers

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"
)

// natsInSync asks each node whether it is healthy, which it is not while it catches up, and then what the leaders know
// of the other copies.
func (c *Cluster) natsInSync(ctx context.Context) error {
	for _, s := range c.Nodes {
		if err := s.monitor(ctx, "/healthz", nil); err != nil {
			return err
		}
	}
	for _, s := range c.Nodes {
		var state natsState
		if err := s.monitor(ctx, "/jsz?streams=true&consumers=true", &state); err != nil {
			return err
		}
		if err := state.inSync(s.natsName()); err != nil {
			return err
		}
	}
	return nil
}

// monitor gets a page of a node's monitoring.
func (s *Server) monitor(ctx context.Context, page string, to any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.layout.addresses(natsMonitor)[s.node]+page, nil)
	if err != nil {
		return err
	}
	request.Close = true // nothing is left open
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // has been read
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("node %d: %s says %s", s.node+1, page, answer.Status)
	}
	if to == nil {
		return nil
	}
	return json.UnmarshalRead(answer.Body, to)
}

// natsState is what a node knows of what JetStream stores.
type natsState struct {
	Meta     natsCopies `json:"meta_cluster"`
	Accounts []struct {
		Streams []struct {
			Name      string     `json:"name"`
			Cluster   natsCopies `json:"cluster"`
			Consumers []struct {
				Name    string     `json:"name"`
				Cluster natsCopies `json:"cluster"`
			} `json:"consumer_detail"`
		} `json:"stream_detail"`
	} `json:"account_details"`
}

// natsCopies are what a node knows of the other copies of something. Only the leader knows how far they are; what others
// know of a leader is that it is there.
type natsCopies struct {
	Leader string `json:"leader"`
	Copies []struct {
		Name    string `json:"name"`
		Current bool   `json:"current"`
		Offline bool   `json:"offline"`
	} `json:"replicas"`
}

// inSync reports a copy that has not caught up with what the node of that name leads.
func (n *natsState) inSync(name string) error {
	for _, account := range n.Accounts {
		for _, stream := range account.Streams {
			if err := stream.Cluster.inSync(name, "stream "+stream.Name); err != nil {
				return err
			}
			for _, consumer := range stream.Consumers {
				if err := consumer.Cluster.inSync(name, "consumer "+stream.Name+"/"+consumer.Name); err != nil {
					return err
				}
			}
		}
	}
	return n.Meta.inSync(name, "JetStream's own state")
}

func (c natsCopies) inSync(name, what string) error {
	if c.Leader == "" {
		return fmt.Errorf("%s has no leader", what)
	}
	for _, other := range c.Copies {
		if c.Leader == name && (!other.Current || other.Offline) {
			return fmt.Errorf("%s: %s lags behind", what, other.Name)
		}
	}
	return nil
}
