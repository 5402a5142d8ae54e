package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/parleyotel"
)

// telemetryEnd bounds the sending of what is left.
const telemetryEnd = 3 * time.Second

// telemetry makes the options of a network that reports as the environment says (OTEL_EXPORTER_OTLP_ENDPOINT and the
// other variables of OpenTelemetry), in the name of a service. Nothing set = nothing reported.
func (a *app) telemetry(ctx context.Context, service string) (options []network.Option, end func(), err error) {
	if !slices.ContainsFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") }) {
		return nil, func() {}, nil
	}
	sdk, err := parleyotel.Start(ctx, service)
	if err != nil {
		return nil, nil, usage(fmt.Errorf("the variables OTEL_…: %w", err))
	}
	return []network.Option{network.WithTelemetry(sdk.Providers()), network.WithMetrics(sdk.Handler())}, func() { a.flush(ctx, sdk) }, nil
}

// flush sends what is left.
func (a *app) flush(ctx context.Context, sdk *parleyotel.SDK) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), telemetryEnd)
	defer cancel()
	if err := sdk.Shutdown(ctx); err != nil {
		a.note("telemetry: %v", err)
	}
}
