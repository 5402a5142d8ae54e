package node

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport"
)

// longestWait bounds what a stranger may wait for in one request.
const longestWait = 20 * time.Second

// request is what the operations' endpoints take, made of path, query and body.
type request struct {
	Address string           `json:"address,omitzero"`
	ID      parley.MessageID `json:"id,omitzero"`
	Do      string           `json:"do,omitzero"`     // "signal", "cancel" or "retry"
	Name    string           `json:"name,omitzero"`   // of a signal
	Reason  string           `json:"reason,omitzero"` // of a cancel
	Body    jsontext.Value   `json:"body,omitzero"`   // the input, or a signal's payload
	Status  []string         `json:"status,omitzero"` // of a list; empty = any
	Limit   int              `json:"limit,omitzero"`  // of a list, for each owner; 0 = 100
}

// bindStart reads POST …/ADDRESS with the input as body.
func bindStart(body []byte, values map[string][]string) ([]byte, error) {
	if len(body) == 0 {
		return nil, invalid("", "is empty; want the input of the operation, in JSON")
	}
	return bind(body, values)
}

// bindGet reads GET …/ADDRESS/ID.
func bindGet(_ []byte, values map[string][]string) ([]byte, error) { return bind(nil, values, "id") }

// bindAct reads POST …/ADDRESS/ID:signal?name=NAME with the payload as body, …/ID:cancel?reason=… and …/ID:retry.
func bindAct(body []byte, values map[string][]string) ([]byte, error) {
	if i := strings.LastIndexByte(first(values, "id"), ':'); i >= 0 {
		id := first(values, "id")
		values["id"], values["do"] = []string{id[:i]}, []string{id[i+1:]}
	}
	if first(values, "do") != "signal" {
		body = nil
	}
	return bind(body, values, "id", "do", "name", "reason")
}

// bindList reads GET …?address=…&status=open&limit=20.
func bindList(_ []byte, values map[string][]string) ([]byte, error) {
	return bind(nil, values, "status", "limit")
}

// bind makes a request of what was found; only those names are known, beside the address.
func bind(body []byte, values map[string][]string, names ...string) ([]byte, error) {
	for name := range values {
		if name != "address" && !slices.Contains(names, name) {
			return nil, invalid(name, "nothing of this name is read here")
		}
	}
	r := request{
		Address: first(values, "address"), ID: parley.MessageID(first(values, "id")), Do: first(values, "do"),
		Name: first(values, "name"), Reason: first(values, "reason"), Body: body,
	}
	if len(body) > 0 && !r.Body.IsValid() {
		return nil, invalid("", "the body is no JSON")
	}
	for _, list := range values["status"] {
		r.Status = append(r.Status, strings.Split(list, ",")...)
	}
	if text := first(values, "limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, invalid("limit", fmt.Sprintf("want a number, got %q", text))
		}
		r.Limit = n
	}
	return json.Marshal(r)
}

func first(values map[string][]string, name string) string {
	if v := values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// answerStatus shows an operation, which is worth another look until it is Done.
func answerStatus(s parley.OperationStatus, reply transport.Reply) (*transport.Envelope, error) {
	if !s.Done {
		reply.RetryAfter = time.Second
	}
	return answerJSON(s, reply)
}

func answerJSON(v any, reply transport.Reply) (*transport.Envelope, error) {
	body, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("node: answer: %w", err)
	}
	e := &transport.Envelope{ContentType: "application/json", Body: body}
	reply.Set(e)
	return e, nil
}

// empty is an answer without a body.
func empty(reply transport.Reply) *transport.Envelope {
	e := &transport.Envelope{}
	reply.Set(e)
	return e
}

func invalid(field, message string) error {
	return &parley.Error{Code: parley.InvalidArgument, NotSent: true, Message: "the request is wrong", Fields: []parley.Field{{Path: field, Message: message}}}
}

func unreadable(err error) error {
	return &parley.Error{Code: parley.InvalidArgument, NotSent: true, Message: "the request can't be read", Cause: err}
}
