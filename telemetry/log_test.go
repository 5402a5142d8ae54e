package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/parley-io/parley/transport"
)

type orderKey struct{}

func orderID(ctx context.Context) []slog.Attr {
	if id, ok := ctx.Value(orderKey{}).(string); ok {
		return []slog.Attr{slog.String("message_id", id)}
	}
	return nil
}

func TestALogHandlerKeepsThePromisesOfHandlers(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	results := func() (all []map[string]any) {
		for line := range bytes.Lines(out.Bytes()) {
			var m map[string]any
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatalf("log line %s: %v", line, err)
			}
			all = append(all, m)
		}
		return all
	}
	if err := slogtest.TestHandler(LogHandler(slog.NewJSONHandler(&out, nil), orderID), results); err != nil {
		t.Error(err)
	}
}

func TestIDsOfARecordStayAtTheTop(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(LogHandler(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}}), orderID))
	ctx := from(context.WithValue(t.Context(), orderKey{}, "order-1"), &transport.Envelope{Trace: elsewhere})
	const ids = `"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","message_id":"order-1"`
	db := log.With("a", 1).WithGroup("db").With("b", 2)
	deep := log.WithGroup("g").WithGroup("h").WithGroup("i")
	first, second := deep.WithGroup("first"), deep.WithGroup("second")
	other := db.With("c", 3)
	for _, c := range []struct {
		name string
		log  *slog.Logger
		ctx  context.Context
		want string
	}{
		{"plain", log, ctx, `{"msg":"m",` + ids + `,"x":9}`},
		{"with attributes", log.With("a", 1), ctx, `{"msg":"m","a":1,` + ids + `,"x":9}`},
		{"in a group", db, ctx, `{"msg":"m","a":1,` + ids + `,"db":{"b":2,"x":9}}`},
		{"in groups", db.WithGroup("tx").With("c", 3), ctx, `{"msg":"m","a":1,` + ids + `,"db":{"b":2,"tx":{"c":3,"x":9}}}`},
		{"a sibling of those", db.WithGroup("other"), ctx, `{"msg":"m","a":1,` + ids + `,"db":{"b":2,"other":{"x":9}}}`},
		{"the first of two siblings", first, ctx, `{"msg":"m",` + ids + `,"g":{"h":{"i":{"first":{"x":9}}}}}`},
		{"the second of two siblings", second, ctx, `{"msg":"m",` + ids + `,"g":{"h":{"i":{"second":{"x":9}}}}}`},
		{"with more attributes", other, ctx, `{"msg":"m","a":1,` + ids + `,"db":{"b":2,"c":3,"x":9}}`},
		{"the group again", db, ctx, `{"msg":"m","a":1,` + ids + `,"db":{"b":2,"x":9}}`},
		{"no ids", db, t.Context(), `{"msg":"m","a":1,"db":{"b":2,"x":9}}`},
		{"no context", log, nil, `{"msg":"m","x":9}`},
	} {
		out.Reset()
		if c.ctx == nil {
			c.log.Info("m", "x", 9)
		} else {
			c.log.InfoContext(c.ctx, "m", "x", 9)
		}
		if got := strings.TrimSpace(out.String()); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestALogHandlerAsksNoIDsOfRecordsThatNobodyWants(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	asked := false
	log := slog.New(LogHandler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}), func(context.Context) []slog.Attr {
		asked = true
		return nil
	}))
	log.Info("m")
	if asked || out.Len() > 0 {
		t.Errorf("a record below the level was handled: ids asked %v, output %q", asked, out.String())
	}
	slog.New(LogHandler(slog.NewTextHandler(&out, nil), nil)).Info("m")
	if !strings.Contains(out.String(), "msg=m") {
		t.Errorf("without ids the log = %q; want the record", out.String())
	}
}
