package parley

import (
	"slices"
	"strings"
	"sync"
)

// Readiness is whether a service of this process can take work.
type Readiness struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	Ready    bool   `json:"ready"`
	Reason   string `json:"reason,omitzero"` // why it is not: "starting", "draining", or what is wrong with its journal
}

// Readiness is that of the services that run on this network in this process, sorted by service and instance. Package
// network serves it as GET /readyz.
func (n *Network) Readiness() []Readiness { return n.health.list() }

// health knows the services that run. Its zero value is ready to use.
type health struct {
	mu       sync.Mutex
	services map[*Service]<-chan struct{} // closed when it drains
}

// enter notes that a service runs, until leave is called.
func (h *health) enter(s *Service, stop <-chan struct{}) (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.services == nil {
		h.services = make(map[*Service]<-chan struct{})
	}
	h.services[s] = stop
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.services, s)
	}
}

func (h *health) list() []Readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := []Readiness{}
	for s, stop := range h.services {
		r := Readiness{Service: s.client.name, Instance: s.client.instance, Reason: s.unready(stop)}
		r.Ready = r.Reason == ""
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Readiness) int { return strings.Compare(a.Instance, b.Instance) })
	return all
}

// unready is why a running service should get no more work; "" = it should.
func (s *Service) unready(stop <-chan struct{}) string {
	select {
	case <-stop:
		return "draining"
	default:
	}
	select {
	case <-s.ready:
	default:
		return "starting"
	}
	if s.engine != nil {
		if err := s.engine.Healthy(); err != nil {
			return err.Error()
		}
	}
	return ""
}
