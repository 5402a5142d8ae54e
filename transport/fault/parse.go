package fault

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
)

// Parse reads rules in the language of the package comment. It reports what is wrong with each line in one error:
// line, column, what was found and what was expected.
func Parse(text string) ([]Rule, error) {
	var rules []Rule
	var errs []error
	for number, line := range strings.Split(text, "\n") {
		p := parser{line: line}
		p.next()
		if p.word == "" || p.word[0] == '#' {
			continue
		}
		r, err := p.rule()
		if err == nil {
			err = r.Validate()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d, %w", number+1, err))
			continue
		}
		rules = append(rules, r.normal())
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return rules, nil
}

// parser reads one line, a word ahead.
type parser struct {
	line   string
	column int    // of word, in bytes from 0
	word   string // "" = the end of the line
	after  int    // where the next word is looked for
}

// next moves to the next word. A quoted text is one word.
func (p *parser) next() {
	const blank = " \t\r"
	p.column = len(p.line) - len(strings.TrimLeft(p.line[p.after:], blank))
	rest := p.line[p.column:]
	n := strings.IndexAny(rest, blank)
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		n = len(quoted)
	}
	if n < 0 {
		n = len(rest)
	}
	p.word, p.after = rest[:n], p.column+n
}

func (p *parser) wrong(want string) error {
	got := strconv.Quote(p.word)
	if p.word == "" {
		got = "the end of the line"
	}
	return fmt.Errorf("column %d: got %s, want %s", p.column+1, got, want)
}

func (p *parser) rule() (r Rule, err error) {
	if r.Verb = Verb(p.word); !slices.Contains(verbs, r.Verb) {
		return r, p.wrong(oneOf(verbs))
	}
	p.next()
	if r.Verb == Delay {
		if r.Delay, err = p.duration(); err != nil {
			return r, err
		}
	}
	if number, ok := strings.CutSuffix(p.word, "%"); ok {
		if r.Share, err = strconv.ParseFloat(number, 64); err != nil || !(r.Share > 0 && r.Share <= 100) {
			return r, p.wrong("a share of more than 0%, at most 100%")
		}
		if r.Verb == Cut {
			return r, p.wrong(oneOf(targets[Cut]) + ": cut has no share")
		}
		p.next()
	}
	if r.Target = Target(p.word); !slices.Contains(targets[r.Verb], r.Target) {
		return r, p.wrong(fmt.Sprintf("what to %s: %s", r.Verb, oneOf(targets[r.Verb])))
	}
	p.next()
	if _, clause := clauses[p.word]; p.word != "" && !clause {
		if patternError(p.word) != nil {
			return r, p.wrong("an address, an address and \".*\", \"*\", or " + oneOf(clauseNames))
		}
		r.Pattern = p.word
		p.next()
	}
	return r, p.clauses(&r)
}

// clauses and their parsers.
var clauses = map[string]func(*parser, *Rule) error{
	"at": (*parser).at, "with": (*parser).with, "for": (*parser).lasts, "seed": (*parser).seed,
}

var clauseNames = []string{"at", "with", "for", "seed"}

func (p *parser) clauses(r *Rule) error {
	seen := map[string]bool{}
	for p.word != "" {
		parse, ok := clauses[p.word]
		if !ok || seen[p.word] {
			return p.wrong(oneOf(clauseNames) + ", each at most once, or the end of the line")
		}
		name := p.word
		if name == "with" && !r.takesCode() {
			return p.wrong("no \"with\": it is for fail call, answer and handle")
		}
		p.next()
		if err := parse(p, r); err != nil {
			return err
		}
		seen[name] = true
	}
	return nil
}

func (p *parser) at(r *Rule) error {
	if transport.CheckGroup(p.word) != nil {
		return p.wrong("a service: a word of a-z, 0-9 and '-'")
	}
	r.At = p.word
	p.next()
	return nil
}

func (p *parser) with(r *Rule) error {
	if r.Code = transport.Code(p.word); !slices.Contains(codes, r.Code) {
		return p.wrong("a code: " + oneOf(codes))
	}
	p.next()
	if strings.HasPrefix(p.word, `"`) {
		text, err := strconv.Unquote(p.word)
		if err != nil {
			return p.wrong("a text in double quotes")
		}
		r.Text = text
		p.next()
	}
	return nil
}

func (p *parser) lasts(r *Rule) (err error) {
	r.For, err = p.duration()
	return err
}

func (p *parser) seed(r *Rule) (err error) {
	if r.Seed, err = strconv.ParseUint(p.word, 10, 64); err != nil {
		return p.wrong("a number from 0")
	}
	p.next()
	return nil
}

func (p *parser) duration() (time.Duration, error) {
	d, err := time.ParseDuration(p.word)
	if err != nil || d <= 0 {
		return 0, p.wrong("a duration of more than 0, such as 200ms")
	}
	p.next()
	return d, nil
}
