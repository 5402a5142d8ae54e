package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// interactive are the commands whose tests are not scripts.
var interactive = map[string]bool{"parley demo": true}

// leaves are all commands that people run, without those that cobra adds.
func leaves(c *cobra.Command) (all []*cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "completion" || sub.Name() == "help" {
			continue
		}
		if !sub.HasSubCommands() && sub.Runnable() {
			all = append(all, sub)
		}
		all = append(all, leaves(sub)...)
	}
	return all
}

func TestEveryCommandSaysWhatItIsForWithAnExample(t *testing.T) {
	t.Parallel()
	all := leaves(newRoot(&app{}))
	if len(all) < 15 {
		t.Errorf("got %d commands, want at least 15: the walk misses some", len(all))
	}
	for _, c := range all {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short = %q, want one line without a full stop", c.CommandPath(), c.Short)
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example of itself", c.CommandPath())
		}
		if c.Args == nil && c.Name() != "rm" {
			t.Errorf("%s takes any arguments, want them checked", c.CommandPath())
		}
	}
}

// A form of output that no script runs is one that does not work.
func TestEveryCommandIsRunWithJSONOutputByAScript(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("scripts = %v, %v; want some", paths, err)
	}
	var scripts strings.Builder
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		scripts.Write(b)
	}
	for _, c := range leaves(newRoot(&app{})) {
		run := regexp.MustCompile(`(?m)^(exec|start \w+|stdin .*) ` + regexp.QuoteMeta(c.CommandPath()) + ` .*-o jsonl?\b|^exec ` + regexp.QuoteMeta(c.CommandPath()) + ` -o json`)
		if !interactive[c.CommandPath()] && !run.MatchString(scripts.String()) {
			t.Errorf("no script runs %s with -o json", c.CommandPath())
		}
	}
}

// The word "stop" is testscript's own: it ends a script at once, with success, whatever comes after it.
func TestNoScriptEndsBeforeItsLastLine(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("scripts = %v, %v; want some", paths, err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if line := regexp.MustCompile(`(?m)^stop\b.*`).Find(b); line != nil {
			t.Errorf("%s has the line %q, after which nothing of it is run; want \"end NAME\" to end a process", p, line)
		}
	}
}

func TestBodiesAreMadeOfFieldsAsTheContractWantsThem(t *testing.T) {
	t.Parallel()
	const schema = `{"type":"object","properties":{"name":{"type":"string"},"n":{"type":["null","integer"]},"x":{"type":"number"},
		"ok":{"type":"boolean"},"tags":{"type":"array"},"at":{"type":"object","properties":{"row":{"type":"integer"}}}}}`
	for _, c := range []struct {
		pairs []string
		want  string // a body, or a part of the error behind "!"
	}{
		{nil, `{}`},
		{[]string{"name=7", "n=7", "x=-1.5e3", "ok=true"}, `{"n":7,"name":"7","ok":true,"x":-1.5e3}`},
		{[]string{"n=seven", "ok=maybe", "tags=a"}, `{"n":"seven","ok":"maybe","tags":"a"}`},
		{[]string{`tags=["a"]`, `at={"row":1}`}, `{"at":{"row":1},"tags":["a"]}`},
		{[]string{"at.row=1", "at.seat=1"}, `{"at":{"row":1,"seat":"1"}}`},
		{[]string{"name=a=b", "n="}, `{"n":"","name":"a=b"}`},
		{[]string{"name=a", "name=b"}, "!given twice"},
		{[]string{"name"}, "!want field=value"},
		{[]string{"=x"}, "!want field=value"},
		{[]string{"at.row=1", "at=x"}, "!its parts are given too"},
		{[]string{"name=x", "name.first=y"}, "!given as a value too"},
	} {
		got := ""
		b, err := (&app{}).readBody("", false, c.pairs)
		if err == nil {
			var encoded []byte
			encoded, err = b.encode(readShape([]byte(schema)))
			got = string(encoded)
		}
		if part, wrong := strings.CutPrefix(c.want, "!"); wrong {
			if err == nil || !strings.Contains(err.Error(), part) || exitOf(err) != exitUsage {
				t.Errorf("body of %q = %s, %v; want a usage error that says %q", c.pairs, got, err, part)
			}
		} else if got != c.want || err != nil {
			t.Errorf("body of %q = %s, %v; want %s", c.pairs, got, err, c.want)
		}
	}
}
