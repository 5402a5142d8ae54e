package main

import "context"

// measureMessages compares clients on each network, then looks at what becomes of the ledger at an even pace, and of a
// process that falls behind.
func measureMessages(ctx context.Context, c config, r *report) error {
	return eachSite(ctx, c, r.progress("messages"), func(ctx context.Context, s site) error {
		measures := []func(context.Context, config, site, *report) error{compare, measureSteady, measureBacklog}
		if len(c.only) > 0 {
			measures = measures[:1]
		}
		for _, measure := range measures {
			if err := measure(ctx, c, s, r); err != nil {
				return err
			}
		}
		return nil
	})
}
