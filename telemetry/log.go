package telemetry

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// LogHandler is next with the trace of a record's context: "trace_id" and "span_id" where it has a span, and what ids
// answers for it (nil = nothing). These attributes are at the top level of each record and come first, also for a logger
// with groups.
func LogHandler(next slog.Handler, ids func(context.Context) []slog.Attr) slog.Handler {
	return &logHandler{next: next, ids: ids}
}

// logHandler keeps groups back until a record comes, because a group that was opened in next would take the ids in.
type logHandler struct {
	next   slog.Handler
	ids    func(context.Context) []slog.Attr
	groups []group // the outermost first; the slice is not changed
}

// group is one that is open, with the attributes that were given to it.
type group struct {
	name       string
	attributes []slog.Attr
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	all := make([]slog.Attr, 0, 8)
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		all = append(all, slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	if h.ids != nil {
		all = append(all, h.ids(ctx)...)
	}
	if len(all) == 0 && len(h.groups) == 0 {
		return h.next.Handle(ctx, r)
	}
	own := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		own = append(own, a)
		return true
	})
	for _, g := range slices.Backward(h.groups) {
		own = []slog.Attr{{Key: g.name, Value: slog.GroupValue(append(slices.Clip(g.attributes), own...)...)}}
	}
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	out.AddAttrs(append(all, own...)...)
	return h.next.Handle(ctx, out)
}

func (h *logHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	if len(attributes) == 0 {
		return h
	}
	if len(h.groups) == 0 {
		return &logHandler{next: h.next.WithAttrs(attributes), ids: h.ids}
	}
	groups := slices.Clone(h.groups)
	last := &groups[len(groups)-1]
	last.attributes = append(slices.Clip(last.attributes), attributes...)
	return &logHandler{next: h.next, ids: h.ids, groups: groups}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &logHandler{next: h.next, ids: h.ids, groups: append(slices.Clip(h.groups), group{name: name})}
}
