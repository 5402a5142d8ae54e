package fault

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-io/parley/transport"
)

// Verb is what a rule does.
type Verb string

const (
	Fail    Verb = "fail"
	Delay   Verb = "delay"
	Lose    Verb = "lose"
	Double  Verb = "double"
	Reorder Verb = "reorder"
	Cut     Verb = "cut"
)

// Target is what a rule does it to.
type Target string

const (
	Call    Target = "call"    // a request, at the caller
	Answer  Target = "answer"  // a request, at the callee
	Send    Target = "send"    // a message, at the sender
	Receive Target = "receive" // deliveries, at the receiver
	Broker  Target = "broker"  // Send and Receive
	Handle  Target = "handle"  // a handler of messages
)

// targets are the targets that a verb has, in the order of the package comment.
var targets = map[Verb][]Target{
	Fail:    {Call, Answer, Send, Handle},
	Delay:   {Call, Answer, Send},
	Lose:    {Call, Answer, Send},
	Double:  {Call, Send},
	Reorder: {Send},
	Cut:     {Call, Send, Receive, Broker},
}

var verbs = []Verb{Fail, Delay, Lose, Double, Reorder, Cut}

var codes = []transport.Code{
	transport.Canceled, transport.InvalidArgument, transport.DeadlineExceeded, transport.NotFound,
	transport.AlreadyExists, transport.PermissionDenied, transport.Unauthenticated, transport.ResourceExhausted,
	transport.FailedPrecondition, transport.Aborted, transport.Unimplemented, transport.Unavailable,
	transport.Internal, transport.Unknown,
}

// Rule is one line of the language; its zero fields are the defaults. Its text form is that line.
type Rule struct {
	Verb    Verb
	Delay   time.Duration // of delay
	Share   float64       // percent; 0 = 100
	Target  Target
	Pattern string         // "" = every address
	At      string         // service; "" = every one
	Code    transport.Code // of fail, except fail send; "" = unavailable
	Text    string         // the error's message; "" = one that names the rule
	For     time.Duration  // 0 = until it is removed
	Seed    uint64
}

// ID is short and made from the rule's text: the same rule has the same one in each process.
func (r Rule) ID() string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.String())) // a hash never fails
	return fmt.Sprintf("f%06x", h.Sum32()>>8)
}

// String is the rule in the language: [Parse] gives the same rule again.
func (r Rule) String() string {
	words := []string{string(r.Verb)}
	if r.Verb == Delay {
		words = append(words, r.Delay.String())
	}
	if r.Share != 0 && r.Share != 100 {
		words = append(words, strconv.FormatFloat(r.Share, 'f', -1, 64)+"%")
	}
	words = append(words, string(r.Target))
	if r.Pattern != "" && r.Pattern != "*" {
		words = append(words, r.Pattern)
	}
	if r.At != "" {
		words = append(words, "at", r.At)
	}
	if r.Code != "" {
		words = append(words, "with", string(r.Code))
		if r.Text != "" {
			words = append(words, strconv.Quote(r.Text))
		}
	}
	if r.For != 0 {
		words = append(words, "for", r.For.String())
	}
	if r.Seed != 0 {
		words = append(words, "seed", strconv.FormatUint(r.Seed, 10))
	}
	return strings.Join(words, " ")
}

// MarshalText is [Rule.String].
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), r.Validate() }

// UnmarshalText parses one rule.
func (r *Rule) UnmarshalText(text []byte) error {
	rules, err := Parse(string(text))
	if err == nil && len(rules) != 1 {
		err = fmt.Errorf("fault rule %q: got %d rules, want one", text, len(rules))
	}
	if err != nil {
		return err
	}
	*r = rules[0]
	return nil
}

// Validate reports everything that is wrong with r in one error.
func (r Rule) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("fault rule %q: "+format, append([]any{r.String()}, args...)...))
		}
	}
	check(slices.Contains(verbs, r.Verb), "verb %q: want %s", r.Verb, oneOf(verbs))
	if has, ok := targets[r.Verb]; ok {
		check(slices.Contains(has, r.Target), "target %q: %s wants %s", r.Target, r.Verb, oneOf(has))
	}
	check((r.Verb == Delay) == (r.Delay > 0), "delay %v: want a duration of more than 0 with delay, none with other verbs", r.Delay)
	check(r.Share >= 0 && r.Share <= 100, "share %v%%: want more than 0%%, at most 100%%", r.Share)
	check(r.Verb != Cut || r.Share == 0 || r.Share == 100, "cut has no share")
	check(patternError(r.Pattern) == nil, "%w", patternError(r.Pattern))
	check(r.At == "" || transport.CheckGroup(r.At) == nil, "service %q: want a word of a-z, 0-9 and '-'", r.At)
	check(r.Code == "" || r.takesCode(), "\"with\" is for fail call, answer and handle")
	check(r.Code == "" || slices.Contains(codes, r.Code), "code %q: want %s", r.Code, oneOf(codes))
	check(r.Text == "" || r.Code != "", "a text wants a code")
	check(utf8.ValidString(r.Text), "the text is not valid UTF-8")
	check(r.For >= 0, "for %v: want a duration of more than 0", r.For)
	return errors.Join(errs...)
}

func (r Rule) takesCode() bool { return r.Verb == Fail && r.Target != Send }

// normal is r with one form for each meaning, so that equal rules compare equal.
func (r Rule) normal() Rule {
	if r.Share == 100 {
		r.Share = 0
	}
	if r.Pattern == "*" {
		r.Pattern = ""
	}
	return r
}

// concerns reports whether r is about what happens: to a target, at a service, with an address.
func (r Rule) concerns(what Target, service, address string) bool {
	if r.Target != what && (r.Target != Broker || what != Send && what != Receive) {
		return false
	}
	if r.At != "" && r.At != service {
		return false
	}
	if prefix, ok := strings.CutSuffix(r.Pattern, "*"); ok {
		return strings.HasPrefix(address, prefix)
	}
	return r.Pattern == "" || r.Pattern == address
}

// err is the error of fail.
func (r Rule) err() *transport.Error {
	e := &transport.Error{Code: r.Code, Message: r.Text}
	if e.Code == "" {
		e.Code = transport.Unavailable
	}
	if e.Message == "" {
		e.Message = "fault " + r.ID()
	}
	return e
}

func patternError(p string) error {
	if p == "" || p == "*" {
		return nil
	}
	if transport.CheckAddress(strings.TrimSuffix(p, ".*")) != nil || slices.Contains(clauseNames, p) {
		return fmt.Errorf("pattern %q: want an address, an address and \".*\", or \"*\"", p)
	}
	return nil
}

func oneOf[T ~string](words []T) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	if len(all) == 1 {
		return all[0]
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}
