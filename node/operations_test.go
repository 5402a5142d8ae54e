package node

import (
	"context"
	"io"
	nethttp "net/http"
	"net/http/httptrace"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
)

const feast = "catering.v1.feast"

// startOwnerless starts a node that knows an operation whose owner does not run.
func startOwnerless(t *testing.T) (url string, stop func() error) {
	t.Helper()
	t.Setenv("PARLEY_RUNTIME_DIR", filepath.Join(t.TempDir(), "run"))
	t.Setenv("PARLEY_NETWORK", "")
	info, stop := start(t, Options{Dir: t.TempDir(), HTTP: "127.0.0.1:0"})
	n, err := network.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Directory.Register(t.Context(), feast, parley.OwnerGroup); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	url = info.HTTP + operationsPath
	for {
		if got := get(t, url); strings.Contains(got, feast) { // the node has heard of it
			return url, stop
		}
	}
}

// ask sends a request and gives the answer with its body.
func ask(t *testing.T, ctx context.Context, method, url, body string, headers ...string) (*nethttp.Response, string) { //nolint:revive // a test comes first
	t.Helper()
	request, err := nethttp.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	carrier := &nethttp.Transport{}
	defer carrier.CloseIdleConnections()
	answer, err := (&nethttp.Client{Transport: carrier}).Do(request)
	if err != nil {
		t.Error(err)
		return &nethttp.Response{}, ""
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer, string(b)
}

func TestAnOperationIsStartedAndShownWhileItsOwnerIsAway(t *testing.T) {
	url, stop := startOwnerless(t)
	for _, c := range []struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		{"POST", "/" + feast, `{"n":1}`, []string{"Idempotency-Key: op-1"}, 202, `"id":"op-1"`},
		{"POST", "/" + feast, `{"n":1}`, []string{"Idempotency-Key: op-1", "Prefer: wait=1"}, 202, `"status":"NotStarted"`},
		{"GET", "/" + feast + "/op-1", "", nil, 200, `"status":"NotStarted","done":false`},
		{"GET", "/" + feast + "/op-1", "", []string{"Prefer: wait=1"}, 200, `"queued":true`},
		{"GET", "/" + feast + "/op-1", "", []string{`If-None-Match: "0"`}, 304, ""},
		{"GET", "/" + feast + "/op-1", "", []string{`If-None-Match: "7"`}, 200, `"revision":0`},
		{"POST", "/" + feast + "/op-1:signal?name=signed", `{"by":"ann"}`, nil, 202, ""},
		{"POST", "/" + feast + "/op-1:cancel?reason=rain", "", nil, 202, ""},
		{"POST", "/" + feast + "/op-1:retry", "", nil, 503, ""},
		{"POST", "/" + feast + "/op-1:eat", "", nil, 400, "op-1:signal?name=NAME"},
		{"POST", "/" + feast, ``, nil, 422, "is empty"},
		{"POST", "/" + feast, `{"n"`, nil, 422, "no JSON"},
		{"GET", "/" + feast + "/op-1?color=red", "", nil, 422, "color"},
		{"GET", "/" + feast + "/op-2", "", nil, 404, "no trail knows"},
		{"GET", "/catering.v1.fast/op-1", "", nil, 404, "no running service announced it"},
		{"GET", "?address=" + feast, "", nil, 200, `{"operations":[],"away":[{"address":"catering.v1.feast","waiting":`},
		{"GET", "?address=other.v1.thing", "", nil, 200, `{"operations":[],"away":[]}`},
		{"GET", "?limit=many", "", nil, 422, "want a number"},
	} {
		answer, body := ask(t, t.Context(), c.method, url+c.path, c.body, c.headers...)
		if answer.StatusCode != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s %v = %d %s; want %d and %s", c.method, c.path, c.headers, answer.StatusCode, body, c.status, c.says)
		}
		location := answer.Header.Get("Location")
		if c.status == 202 && !strings.HasSuffix(location, operationsPath+"/"+feast+"/op-1") {
			t.Errorf("%s %s: Location %q, want that of the operation", c.method, c.path, location)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestANodeThatEndsLetsGoOfWhoWaitsForAnOperation(t *testing.T) {
	url, stop := startOwnerless(t)
	ask(t, t.Context(), "POST", url+"/"+feast, "{}", "Idempotency-Key: op-1")
	sent, answered := make(chan struct{}), make(chan int, 1)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }})
	go func() { // ends with the answer, which is waited for
		answer, _ := ask(t, ctx, "GET", url+"/"+feast+"/op-1", "", "Prefer: wait=20")
		answered <- answer.StatusCode
	}()
	<-sent
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Run = %v while somebody waits, want nil", err)
	}
	if took := time.Since(began); took > stopLimit/2 {
		t.Errorf("the end took %v, want whoever waits let go at once", took)
	}
	if got := <-answered; got != 200 && got != 503 { // as it is, or that the node ends
		t.Errorf("who waited was answered %d, want 200 or 503", got)
	}
}

func TestRequestsForOperationsAreReadFromPathQueryAndBody(t *testing.T) {
	t.Parallel()
	type values = map[string][]string
	for _, c := range []struct {
		bind func([]byte, map[string][]string) ([]byte, error)
		body string
		in   values
		want string
	}{
		{bindStart, `{ "n": 1 }`, values{"address": {"a.v1.b"}}, `{"address":"a.v1.b","body":{"n":1}}`},
		{bindGet, "", values{"address": {"a.v1.b"}, "id": {"x:cancel"}}, `{"address":"a.v1.b","id":"x:cancel"}`},
		{bindAct, `"yes"`, values{"address": {"a.v1.b"}, "id": {"a:b:signal"}, "name": {"ok"}}, `{"address":"a.v1.b","id":"a:b","do":"signal","name":"ok","body":"yes"}`},
		{bindAct, `ignored`, values{"address": {"a.v1.b"}, "id": {"x:cancel"}, "reason": {"rain"}}, `{"address":"a.v1.b","id":"x","do":"cancel","reason":"rain"}`},
		{bindAct, ``, values{"address": {"a.v1.b"}, "id": {"x"}}, `{"address":"a.v1.b","id":"x"}`},
		{bindList, ``, values{"status": {"open,Parked", "Failed"}, "limit": {"7"}}, `{"status":["open","Parked","Failed"],"limit":7}`},
	} {
		if got, err := c.bind([]byte(c.body), c.in); string(got) != c.want || err != nil {
			t.Errorf("request of %v and %q = %s, %v; want %s", c.in, c.body, got, err, c.want)
		}
	}
}
