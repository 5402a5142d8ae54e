package parley

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// The forms of an operation's HTTP resource: what is in paths, queries and headers becomes the bodies that the endpoints
// of an owner take from Go.

// bindStatus reads GET …/ID.
func bindStatus(_ []byte, values map[string][]string) ([]byte, error) {
	return encode(statusRequest{ID: MessageID(first(values, "id"))})
}

// bindList reads GET …?status=Running&limit=20&page=….
func bindList(_ []byte, values map[string][]string) ([]byte, error) {
	r := listRequest{Status: strings.Join(values["status"], ","), Page: first(values, "page")}
	for name, to := range map[string]*int{"version": &r.Version, "limit": &r.Limit} {
		if text := first(values, name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return nil, invalidField(name, fmt.Sprintf("want a number, got %q", text))
			}
			*to = n
		}
	}
	return encode(r)
}

// bindAction reads POST …/ID:signal?name=NAME with the payload as body, POST …/ID:cancel?reason=…, POST …/ID:retry.
func bindAction(body []byte, values map[string][]string) ([]byte, error) {
	id, do, _ := cutLast(first(values, "id"), ":")
	a := operationAction{Do: do, ID: MessageID(id), Name: first(values, "name"), Reason: first(values, "reason")}
	if do == doSignal {
		if a.Body = body; len(body) == 0 {
			a.Body = jsontext.Value("null")
		}
		if !a.Body.IsValid() {
			return nil, &Error{Code: InvalidArgument, NotSent: true, Message: "the body of a signal is its payload, in JSON"}
		}
	}
	return encode(a)
}

func first(values map[string][]string, name string) string {
	if v := values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// filter checks a request for a list.
func (r listRequest) filter(address string) (operation.Filter, error) {
	f := operation.Filter{Address: address, Version: r.Version, Limit: r.Limit}
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 1000 {
		return f, invalidField("limit", fmt.Sprintf("want 1 to 1000, got %d", r.Limit))
	}
	for word := range strings.SplitSeq(r.Status, ",") {
		switch status := operation.Status(word); {
		case word == "":
		case word == "open":
			f.Statuses = append(f.Statuses, openStatuses...)
		case slices.Contains(append(slices.Clone(openStatuses), operation.Succeeded, operation.Failed, operation.Canceled), status):
			f.Statuses = append(f.Statuses, status)
		default:
			return f, invalidField("status", fmt.Sprintf("got %q, want open, NotStarted, Running, Canceling, Compensating, Parked, Succeeded, Failed or Canceled", word))
		}
	}
	if r.Page != "" {
		at, name, ok := strings.Cut(r.Page, ".")
		nanos, err := strconv.ParseInt(at, 36, 64)
		id, errID := base64.RawURLEncoding.DecodeString(name)
		if !ok || err != nil || errID != nil {
			return f, invalidField("page", "want what the page before had as next")
		}
		f.After = &operation.Record{ID: string(id), Created: time.Unix(0, nanos)}
	}
	return f, nil
}

var openStatuses = []operation.Status{operation.NotStarted, operation.Running, operation.Canceling, operation.Compensating, operation.Parked}

// pageAfter names the page that begins after r, so that it can stand in a URL.
func pageAfter(r operation.Record) string {
	return strconv.FormatInt(r.Created.UnixNano(), 36) + "." + base64.RawURLEncoding.EncodeToString([]byte(r.ID))
}

func invalidField(name, message string) error {
	return &Error{Code: InvalidArgument, NotSent: true, Message: "the request is wrong", Fields: []Field{{Path: name, Message: message}}}
}

// decodeJSON reads a request of Parley's own.
func decodeJSON(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return &Error{Code: InvalidArgument, NotSent: true, Message: "the request can't be read", Fields: []Field{jsonField(err)}}
	}
	return nil
}

func answerJSON(v any, reply transport.Reply) (*transport.Envelope, error) {
	body, err := encode(v)
	if err != nil {
		return nil, err
	}
	answer := &transport.Envelope{ContentType: contentJSON, Body: body}
	reply.Set(answer)
	return answer, nil
}
