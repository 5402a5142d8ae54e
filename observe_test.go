package parley_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley"
)

func TestLogRecordsKnowWhatIsHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written bytes.Buffer
		log := slog.New(parley.LogHandler(slog.NewJSONHandler(&written, nil)))
		w := newWorld(t)
		w.serve(w.client("caterer"), plan.Handle(1, func(ctx context.Context, o order) (price, error) {
			log.InfoContext(ctx, "code")
			return parley.Step(ctx, "cook", func(ctx context.Context) (price, error) {
				log.With("a", 1).WithGroup("g").InfoContext(ctx, "step")
				return price{}, nil
			})
		}))
		log.Info("nothing")
		run, err := plan.Start(t.Context(), w.client("guest"), order{Table: "1", Drink: "tea"}, parley.WithID("dinner"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Wait(t.Context(), w.client("guest")); err != nil {
			t.Fatal(err)
		}
		records := map[string]map[string]any{}
		for line := range bytes.Lines(written.Bytes()) {
			var r map[string]any
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			records[r["msg"].(string)] = r
		}
		code, step := records["code"], records["step"]
		if code["operation_id"] != "dinner" || code["message_id"] != "dinner" || code["correlation_id"] != "dinner" {
			t.Errorf("record of the code = %v; want the ids of the operation", code)
		}
		if step["operation_id"] != "dinner" || step["correlation_id"] != "dinner" || step["step"] != "cook" || step["message_id"] == "dinner" || step["message_id"] == nil {
			t.Errorf("record of the step = %v; want the operation's id, and the step's own", step)
		}
		if r := records["nothing"]; r["message_id"] != nil || r["operation_id"] != nil {
			t.Errorf("record outside of handlers = %v; want no ids", r)
		}
	})
}
