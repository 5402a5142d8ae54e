package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// mutant is a defect, and the check that must notice it.
type mutant struct {
	name   string
	defect string // in one sentence
	file   string // from the root of the module
	before string // is there exactly once
	after  string
	dir    string // of the check's package, from the root of the module
	check  string // a test, or a test and a part of it after a slash, as go test -run takes it
	tags   string // build tags of the check; "" = none
	server bool   // the check starts the server of a broker, or uses the one that the environment names
}

// fate is what became of a mutant.
type fate string

const (
	dead     fate = "killed"
	survives fate = "SURVIVED"
	unfit    fate = "UNFIT" // it could not be tried
)

type result struct {
	fate   fate
	detail string // what the check said, or why the mutant could not be tried
	took   time.Duration
}

// lab tries mutants of the module at root.
type lab struct {
	root  string
	limit time.Duration
	sound map[string]error // by check: whether it passes without a mutant
}

// try runs a mutant's check, first without it.
func (l *lab) try(ctx context.Context, m mutant) result {
	begin := time.Now()
	r := l.judge(ctx, m)
	r.took = time.Since(begin)
	return r
}

func (l *lab) judge(ctx context.Context, m mutant) result {
	text, err := m.apply(l.root)
	if err != nil {
		return result{fate: unfit, detail: err.Error()}
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return result{fate: unfit, detail: err.Error()}
	}
	defer func() { _ = os.RemoveAll(dir) }() // a directory of temporary files that stays harms nobody
	overlay, err := writeOverlay(dir, filepath.Join(l.root, m.file), text)
	if err != nil {
		return result{fate: unfit, detail: err.Error()}
	}
	sound := m.dir + " " + m.check
	if _, ok := l.sound[sound]; !ok {
		out, err := l.test(ctx, m)
		if err == nil && !ran(out, m.check) {
			err = errors.New("no such check")
		}
		if err != nil {
			err = fmt.Errorf("without the mutant the check does not pass: %w\n%s", err, said(out))
		}
		l.sound[sound] = err
	}
	if err := l.sound[sound]; err != nil {
		return result{fate: unfit, detail: err.Error()}
	}
	out, err := l.test(ctx, m, "-count=1", "-overlay="+overlay)
	switch {
	case err == nil:
		return result{fate: survives, detail: m.defect + ", and the check passes"}
	case failed(out, m.check):
		return result{fate: dead, detail: said(out)}
	}
	return result{fate: unfit, detail: fmt.Sprintf("the check neither passed nor failed: %v\n%s", err, said(out))}
}

// test runs the check of m. Without a mutant the go command may know the result already.
func (l *lab) test(ctx context.Context, m mutant, flags ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, l.limit+time.Minute)
	defer cancel()
	args := append([]string{"test", "-v", "-timeout", l.limit.String(), "-tags", m.tags, "-run", pattern(m.check)}, flags...)
	args = append(args, "./"+m.dir)
	if usesRapid(filepath.Join(l.root, m.dir)) { // else what fails would be kept in the working tree
		args = append(args, "-rapid.nofailfile")
	}
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // what the table says
	cmd.Dir = l.root
	if n, err := strconv.Atoi(path.Base(m.check)); err == nil { // of a suite: those that wait would be tried all, beside each other
		cmd.Env = append(os.Environ(), "PARLEY_CHECKS="+strconv.Itoa(n))
	}
	together(cmd)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// usesRapid reports whether the tests of a directory know the flags of that library.
func usesRapid(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*_test.go")) // the pattern is right
	for _, file := range files {
		b, err := os.ReadFile(file) //nolint:gosec // what the table says
		if err == nil && bytes.Contains(b, []byte(`"pgregory.net/rapid"`)) {
			return true
		}
	}
	return false
}

// apply is the mutant's file, with the defect.
func (m mutant) apply(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, m.file)) //nolint:gosec // what the table says
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(b), m.before); n != 1 {
		return "", fmt.Errorf("%s has %d times: %q; want it once: bring the mutant's line in internal/mutants/table.go up to date", m.file, n, m.before)
	}
	return strings.Replace(string(b), m.before, m.after, 1), nil
}

func writeOverlay(dir, file, text string) (string, error) {
	changed, overlay := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, b, 0o600)
}

// pattern is a check for go test -run: the test exactly, of its parts those that begin so.
func pattern(check string) string {
	parts := strings.Split(strings.ReplaceAll(check, " ", "_"), "/")
	for n, part := range parts {
		parts[n] = "^" + regexp.QuoteMeta(part)
	}
	parts[0] += "$"
	return strings.Join(parts, "/")
}

// ran and failed report whether go test says of a check that it passed, or failed. One that ends the whole process, by a
// panic or because its time is over, has failed.
func ran(out, check string) bool { return strings.Contains(out, "--- PASS: "+line(check)) }

func failed(out, check string) bool {
	test, _, _ := strings.Cut(check, "/")
	return strings.Contains(out, "--- FAIL: "+line(check)) ||
		strings.Contains(out, "=== RUN   "+test) && (strings.Contains(out, "\npanic: ") || strings.Contains(out, "fatal error: "))
}

func line(check string) string { return strings.ReplaceAll(check, " ", "_") }

// said is what a failed check said first.
func said(out string) string {
	const lines, width = 3, 240
	var first []string
	for l := range strings.Lines(out) {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "=== ") || strings.HasPrefix(l, "--- ") && !strings.Contains(l, "FAIL") || strings.HasPrefix(l, "ok ") {
			continue
		}
		if len(l) > width {
			l = l[:width] + "…"
		}
		if first = append(first, l); len(first) == lines {
			break
		}
	}
	return strings.Join(first, "\n")
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module's root: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
