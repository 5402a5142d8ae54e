package parley_test

import (
	"context"
	"io"
	"log/slog"
	nethttp "net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/operation"
	store "github.com/parley-io/parley/store/mem"
	"github.com/parley-io/parley/transport/http"
	"github.com/parley-io/parley/transport/mem"
)

// stranger talks to an owner of operations over plain HTTP.
type stranger struct {
	t    *testing.T
	root string
}

// answer is what a stranger gets.
type answer struct {
	status int
	header nethttp.Header
	text   string
	body   parley.OperationStatus
}

func (s stranger) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	r, err := nethttp.NewRequestWithContext(s.t.Context(), method, s.root+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := nethttp.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(b)}
	_ = json.Unmarshal(b, &a.body) // what is none shows in text
	return a
}

// overHTTP serves an operation over real HTTP on a broker in memory.
func overHTTP(t *testing.T, registration func(*parley.Client) parley.Registration) stranger {
	t.Helper()
	calls, err := http.New(http.Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	process := mem.New().Process("caterer")
	journal, directory := store.New(), newDirectory()
	client, err := parley.NewClient("caterer", &parley.Network{
		Name: "test", Calls: calls, Messages: process.Broker(), Directory: directory,
		Journal: func(ctx context.Context, _ string) (operation.Journal, error) { return journal.Open(ctx) },
	}, parley.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	service, err := parley.NewService(client, registration(client), parley.Grace(0))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx) }()
	t.Cleanup(func() {
		nethttp.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := calls.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := process.Broker().Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	<-service.Ready()
	return stranger{t, directory.Peers(cater.Address())[0]}
}

func TestAnOperationIsAResourceForAnyLanguage(t *testing.T) {
	s := overHTTP(t, func(c *parley.Client) parley.Registration {
		return cater.Handle(1, func(ctx context.Context, o order) (price, error) {
			yes, err := confirmed.Await(ctx)
			return price{Cents: len(o.Drink) + len(yes.By)}, err
		})
	})
	const path = "/cafe/v1/cater"
	const tea = `{"table":"1","drink":"tea"}`

	a := s.do("POST", path, tea, "Idempotency-Key", "k-1")
	if a.status != 202 || a.body.ID != "k-1" || a.body.Done || a.header.Get("Location") != s.root+path+"/k-1" || a.header.Get("Operation-Location") == "" || a.header.Get("Retry-After") == "" {
		t.Fatalf("POST = %d %v %s; want 202 with Location, Operation-Location and Retry-After", a.status, a.header, a.text)
	}
	if a := s.do("POST", path, tea, "Operation-Id", "k-1"); a.status != 202 || a.body.ID != "k-1" {
		t.Errorf("the same POST again = %d %s; want 202 and the same operation", a.status, a.text)
	}
	if a := s.do("POST", path, `{"table":"2","drink":"tea"}`, "Idempotency-Key", "k-1"); a.status != 409 || !strings.Contains(a.text, "parley.key-reused") || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the same key with another body = %d %s; want 409, a problem", a.status, a.text)
	}
	if a := s.do("POST", path, `{"table":"2"}`); a.status != 422 || !strings.Contains(a.text, `"path":"drink"`) {
		t.Errorf("a body that does not fit = %d %s; want 422 about drink", a.status, a.text)
	}
	if a := s.do("GET", path+"/nothing", ""); a.status != 404 {
		t.Errorf("GET of an unknown id = %d %s; want 404", a.status, a.text)
	}

	a = s.do("GET", path+"/k-1", "")
	tag := a.header.Get("ETag")
	if a.status != 200 || a.body.Done || tag == "" {
		t.Fatalf("GET = %d %v; want 200 with an ETag while it runs", a.status, a.header)
	}
	if a := s.do("GET", path+"/k-1", "", "If-None-Match", tag); a.status != 304 || a.text != "" {
		t.Errorf("GET with its ETag = %d %q; want 304", a.status, a.text)
	}
	if a := s.do("GET", path+"/k-1", "", "If-None-Match", tag, "Prefer", "wait=1"); a.status != 304 && a.status != 200 || a.header.Get("Preference-Applied") != "wait=1" {
		t.Errorf("GET with wait = %d %v; want it held for a second", a.status, a.header)
	}
	if a := s.do("POST", path+"/k-1:signal?name=confirmed", `{}`); a.status != 422 || !strings.Contains(a.text, `"path":"by"`) {
		t.Errorf("a signal that does not fit = %d %s; want 422 about by", a.status, a.text)
	}
	if a := s.do("POST", path+"/k-1:signal?name=confirmt", `{}`); a.status != 400 || !strings.Contains(a.text, "there is confirmed") {
		t.Errorf("an unknown signal = %d %s; want 400 that names the others", a.status, a.text)
	}
	if a := s.do("POST", path+"/k-1:pause", ``); a.status != 400 || !strings.Contains(a.text, "ID:cancel") {
		t.Errorf("an unknown action = %d %s; want 400 that names the others", a.status, a.text)
	}

	ended := make(chan answer, 1)
	go func() { ended <- s.do("GET", path+"/k-1", "", "Prefer", "wait=20") }()
	if a := s.do("POST", path+"/k-1:signal?name=confirmed", `{"by":"ada"}`); a.status != 202 {
		t.Errorf("a signal = %d %s; want 202", a.status, a.text)
	}
	if a := <-ended; a.status != 200 || a.body.Status != operation.Succeeded || string(a.body.Result) != `{"cents":6}` || a.body.Expires.IsZero() {
		t.Errorf("GET that waits = %d %s; want it Succeeded with its result", a.status, a.text)
	}
	if a := s.do("POST", path+"/k-1:signal?name=confirmed", `{"by":"ada"}`); a.status != 400 || !strings.Contains(a.text, "failed-precondition") {
		t.Errorf("a signal for what has ended = %d %s; want 400, failed-precondition", a.status, a.text)
	}
	if a := s.do("POST", path+"/k-1:cancel", ``); a.status != 202 || a.body.Status != operation.Succeeded {
		t.Errorf("cancel of what has ended = %d %s; want 202 and nothing changed", a.status, a.text)
	}
	if a := s.do("POST", path, tea, "Idempotency-Key", "k-1"); a.status != 202 || !a.body.Done {
		t.Errorf("the POST of what has ended = %d %s; want 202 and done", a.status, a.text)
	}

	for _, odd := range []string{"50%off", "order/17", "a?b#c"} {
		a := s.do("POST", path, tea, "Idempotency-Key", odd)
		where := strings.TrimPrefix(a.header.Get("Location"), s.root)
		if a.status != 202 || string(a.body.ID) != odd {
			t.Fatalf("POST with the key %q = %d %s; want 202", odd, a.status, a.text)
		}
		if a := s.do("POST", where+":cancel", ""); a.status != 202 || string(a.body.ID) != odd {
			t.Errorf("cancel at its Location %s = %d %s; want it found", where, a.status, a.text)
		}
	}
	s.do("POST", path, tea, "Idempotency-Key", "k-2")
	if a := s.do("POST", path+"/k-2:cancel?reason=rain", ``); a.status != 202 {
		t.Errorf("cancel = %d %s; want 202", a.status, a.text)
	}
	a = s.do("GET", path+"/k-2", "", "Prefer", "wait=20")
	if a.body.Status != operation.Canceled || a.body.Error == nil || a.body.Error.Name != parley.ErrCanceled.Name || a.body.Metadata.Reason != "rain" {
		t.Errorf("GET of what was canceled = %s; want it Canceled with the reason", a.text)
	}

	var page struct {
		Operations []parley.OperationStatus `json:"operations"`
		Next       string                   `json:"next"`
	}
	var ids []parley.MessageID
	for next := ""; ; next = page.Next {
		a := s.do("GET", path+"?limit=1&page="+next, "")
		page.Next = ""
		if err := json.Unmarshal([]byte(a.text), &page); err != nil || a.status != 200 {
			t.Fatalf("GET of the list = %d %s", a.status, a.text)
		}
		for _, o := range page.Operations {
			ids = append(ids, o.ID)
		}
		if page.Next == "" {
			break
		}
	}
	if len(ids) != 5 || ids[0] != "k-2" || ids[4] != "k-1" {
		t.Errorf("the list page by page = %v; want five, the newest first, k-2 to k-1", ids)
	}
	if a := s.do("GET", path+"?status=Succeeded", ""); !strings.Contains(a.text, "k-1") || strings.Contains(a.text, "k-2") {
		t.Errorf("the list of those that Succeeded = %s; want k-1 only", a.text)
	}
	if a := s.do("GET", path+"?status=busy", ""); a.status != 422 {
		t.Errorf("the list of an unknown status = %d %s; want 422", a.status, a.text)
	}
}
