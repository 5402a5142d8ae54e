package rabbitmq

import (
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// denied are the exchanges that the server has not let us publish to. It closes the channel for that, and whatever else
// was on its way becomes unknown; so the next ones are not even tried for a while.
type denied struct {
	mu    sync.Mutex
	until map[string]time.Time
	why   map[string]error
}

// deniedFor is after how long a right that was missing is tried again.
const deniedFor = 10 * time.Second

func newDenied() denied {
	return denied{until: make(map[string]time.Time), why: make(map[string]error)}
}

// note remembers a refusal, in the form that a receipt has.
func (d *denied) note(exchange string, why *amqp.Error) {
	err := fmt.Errorf("%w: %w", transport.ErrRefused, &transport.Error{
		Code: transport.PermissionDenied, Cause: why,
		Message: "this user may not publish here: have an administrator allow it, see rabbitmqctl set_permissions",
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until[exchange], d.why[exchange] = time.Now().Add(deniedFor), err
}

// check answers a refusal that is still believed.
func (d *denied) check(exchange string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := d.until[exchange]
	if !ok || time.Now().Before(until) {
		return d.why[exchange]
	}
	delete(d.until, exchange)
	delete(d.why, exchange)
	return nil
}
