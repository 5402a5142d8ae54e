package servers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"
)

// nodes of a cluster: of three, one may be lost.
const nodes = 3

// layout is what the servers of a cluster agree on. A server alone has one for itself.
type layout struct {
	password string
	id       string           // Kafka's of a cluster, RabbitMQ's cookie
	ports    [][portsEach]int // of each node; which is for what differs by kind
}

// portsEach is how many a node of any kind needs.
const portsEach = 3

func newLayout(ctx context.Context, nodes int) (*layout, error) {
	ports, err := freePorts(ctx, portsEach*nodes)
	if err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	id[0] &= 0x7f        // else it could begin with a dash, which reads as an option
	l := &layout{password: rand.Text(), id: base64.RawURLEncoding.EncodeToString(id)}
	for ; len(ports) > 0; ports = ports[portsEach:] {
		l.ports = append(l.ports, [portsEach]int(ports))
	}
	return l, nil
}

// alone reports whether there is only one server.
func (l *layout) alone() bool { return len(l.ports) == 1 }

// addresses are those of one port of each node.
func (l *layout) addresses(port int) (all []string) {
	for _, p := range l.ports {
		all = append(all, address(p[port]))
	}
	return all
}

// url names the servers with these addresses.
func (l *layout) url(kind Kind, addresses ...string) string {
	servers := strings.Join(addresses, ",")
	switch kind {
	case RabbitMQ:
		return "amqp://parley:" + l.password + "@" + servers + "/parley"
	case Kafka:
		return "kafka://" + servers
	default:
		return "nats://parley:" + l.password + "@" + servers
	}
}
