package transport_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
)

func TestValidateNamesEverythingThatNoBrokerCarriesUnharmed(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	headers := func(n int) map[string]string {
		h := make(map[string]string, n)
		for i := range n {
			h[fmt.Sprintf("h%d", i)] = ""
		}
		return h
	}
	type change func(*transport.Envelope)
	for name, c := range map[string]struct {
		change change
		want   string // "" = valid
	}{
		"as it is":              {func(*transport.Envelope) {}, ""},
		"no id":                 {func(e *transport.Envelope) { e.ID = "" }, "id"},
		"longest id":            {func(e *transport.Envelope) { e.ID = long(transport.MaxIDBytes) }, ""},
		"id too long":           {func(e *transport.Envelope) { e.ID = long(transport.MaxIDBytes + 1) }, "id"},
		"id with space":         {func(e *transport.Envelope) { e.ID = "a b" }, "id"},
		"id beyond ASCII":       {func(e *transport.Envelope) { e.ID = "ä" }, "id"},
		"no address":            {func(e *transport.Envelope) { e.Address = "" }, "address"},
		"longest address":       {func(e *transport.Envelope) { e.Address = long(transport.MaxAddress) }, ""},
		"address too long":      {func(e *transport.Envelope) { e.Address = long(transport.MaxAddress + 1) }, "address"},
		"empty word":            {func(e *transport.Envelope) { e.Address = "a..b" }, "address"},
		"wildcard":              {func(e *transport.Envelope) { e.Address = "a.*" }, "address"},
		"word that starts as -": {func(e *transport.Envelope) { e.Address = "a.-b" }, "address"},
		"upper case":            {func(e *transport.Envelope) { e.Address = "Orders" }, "address"},
		"group of two words":    {func(e *transport.Envelope) { e.Group = "a.b" }, "name"},
		"longest key":           {func(e *transport.Envelope) { e.Key = long(transport.MaxKeyBytes) }, ""},
		"key too long":          {func(e *transport.Envelope) { e.Key = long(transport.MaxKeyBytes + 1) }, "key"},
		"key in any script":     {func(e *transport.Envelope) { e.Key = "größe 1" }, ""},
		"key of control":        {func(e *transport.Envelope) { e.Key = "a\nb" }, "key"},
		"key of C1 control":     {func(e *transport.Envelope) { e.Key = "a\u0085b" }, "key"},
		"key not UTF-8":         {func(e *transport.Envelope) { e.Key = "\xff" }, "key"},
		"source":                {func(e *transport.Envelope) { e.Source = "\r" }, "source"},
		"correlation":           {func(e *transport.Envelope) { e.Correlation = "\r" }, "correlation"},
		"causation":             {func(e *transport.Envelope) { e.Causation = "\r" }, "causation"},
		"trace":                 {func(e *transport.Envelope) { e.Trace = "\r" }, "trace"},
		"copy":                  {func(e *transport.Envelope) { e.Copy = "\r" }, "copy"},
		"content type":          {func(e *transport.Envelope) { e.ContentType = "\r" }, "content type"},
		"most headers":          {func(e *transport.Envelope) { e.Headers = headers(transport.MaxHeaders) }, ""},
		"too many headers":      {func(e *transport.Envelope) { e.Headers = headers(transport.MaxHeaders + 1) }, "65 headers"},
		"header name":           {func(e *transport.Envelope) { e.Headers = map[string]string{"Tenant-Id": ""} }, "Tenant-Id"},
		"no header name":        {func(e *transport.Envelope) { e.Headers = map[string]string{"": ""} }, "header"},
		"longest header name":   {func(e *transport.Envelope) { e.Headers = map[string]string{long(64): ""} }, ""},
		"header name too long":  {func(e *transport.Envelope) { e.Headers = map[string]string{long(65): ""} }, "header"},
		"reserved header":       {func(e *transport.Envelope) { e.Headers = map[string]string{"subject": "x"} }, "subject"},
		"longest value":         {func(e *transport.Envelope) { e.Headers = map[string]string{"h": long(transport.MaxHeaderBytes)} }, ""},
		"value too long":        {func(e *transport.Envelope) { e.Headers = map[string]string{"h": long(transport.MaxHeaderBytes + 1)} }, "8193 bytes"},
		"value of two lines":    {func(e *transport.Envelope) { e.Headers = map[string]string{"h": "a\r\nb"} }, `"h"`},
	} {
		e := &transport.Envelope{ID: "m1", Address: "orders.v1.cancel-order"}
		c.change(e)
		err := e.Validate()
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: Validate = %v, want nil", name, err)
			}
		} else if !errors.Is(err, transport.ErrRefused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Validate = %v, want refused because of %s", name, err, c.want)
		}
	}
}

func TestValidateReportsAllAtOnceAndClipsWhatIsHuge(t *testing.T) {
	t.Parallel()
	e := &transport.Envelope{ID: strings.Repeat("i", 1<<20), Address: strings.Repeat("A", 1<<20), Key: "\n"}
	err := e.Validate()
	for _, want := range []string{"id", "address", "key"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, want it to name the %s too", err, want)
		}
	}
	if n := len(fmt.Sprint(err)); n > 2000 {
		t.Errorf("the error has %d bytes, want what is huge to be clipped", n)
	}
}

func TestSizeCountsBodyKeyAndHeaders(t *testing.T) {
	t.Parallel()
	e := &transport.Envelope{ID: "not counted", Key: "12", Body: []byte("345"), Headers: map[string]string{"ab": "cde", "f": ""}}
	if got := e.Size(); got != 2+3+5+1 {
		t.Errorf("Size = %d, want 11", got)
	}
}
