package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

// RemoveAll deletes every stream and bucket of the prefix, with all that they hold, for environments that were made to be
// thrown away. It is for a Broker that has declared and received nothing, once nobody else uses the prefix: who still
// does makes things anew. The server is asked what there is, so the channels and groups that the caller knows of are not needed.
func (b *Broker) RemoveAll(ctx context.Context, _ []transport.Route) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	var errs []error
	all := b.js.StreamNames(ctx)
	for name := range all.Name() {
		if !strings.HasPrefix(name, b.names.stream("")) && name != b.names.bucketStream() {
			continue
		}
		if err := b.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			errs = append(errs, fmt.Errorf("delete stream %s: %w", name, err))
		}
	}
	if err := errors.Join(append(errs, all.Err())...); err != nil {
		return fmt.Errorf("nats: remove everything of %s: %w", b.options.Prefix, err)
	}
	return nil
}
