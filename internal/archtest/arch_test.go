package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/parley-io/parley"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath                         string
	Standard                           bool
	Imports, TestImports, XTestImports []string
}

// The table is compared with what the compiler sees; both directions fail, so that it never says more than is true.
func TestEveryPackageImportsOnlyWhatItsFloorAllows(t *testing.T) {
	t.Parallel()
	allowed, order := parse(t)
	used := make(map[string]map[string]bool)
	for _, p := range list(t) {
		name := short(p.ImportPath)
		line, ok := allowed[name]
		if !ok {
			t.Errorf("package %s has no line in the table of floors.go", name)
			continue
		}
		used[name] = make(map[string]bool)
		for _, imp := range p.Imports {
			rule := match(imp, line)
			if rule == "" {
				t.Errorf("%s imports %s, which its line in floors.go does not allow", name, imp)
			}
			used[name][rule] = true
		}
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			if match(imp, line) == "" && match(imp, allowed["tests"]) == "" && !strings.HasPrefix(imp, module) {
				t.Errorf("the tests of %s import %s, which neither its line nor the line of the tests allows", name, imp)
			}
		}
	}
	for i, name := range order {
		if name == "tests" {
			continue
		}
		if used[name] == nil {
			t.Errorf("floors.go has a line for %s, which does not exist", name)
		}
		for _, rule := range allowed[name] {
			if used[name] != nil && !used[name][rule] {
				t.Errorf("the line of %s allows %s, which it does not import", name, rule)
			}
			if at := slices.Index(order, rule); at >= i {
				t.Errorf("the line of %s allows %s, which stands on the same floor or higher", name, rule)
			}
		}
	}
}

// There is no hidden start-up code and no registry: whoever reads main sees what runs.
func TestNoPackageHasAnInitFunction(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "grep", "-nE", `^func init\(\)`, "--", "*.go").Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return // nothing found
	}
	if err != nil {
		t.Fatalf("git grep: %v", err)
	}
	t.Errorf("init functions, which the invariants of ARCHITECTURE.md forbid:\n%s", out)
}

// parse reads the table; an indented line continues the one before.
func parse(t *testing.T) (allowed map[string][]string, order []string) {
	t.Helper()
	allowed = make(map[string][]string)
	for line := range strings.Lines(floors) {
		rest := line
		if name, imports, ok := strings.Cut(line, ":"); ok {
			order = append(order, strings.TrimSpace(name))
			rest = imports
		}
		if len(order) > 0 {
			name := order[len(order)-1]
			allowed[name] = append(allowed[name], strings.Fields(rest)...)
		}
	}
	if len(order) != len(slices.Collect(maps.Keys(allowed))) {
		t.Fatalf("floors.go names a package twice: %v", order)
	}
	return allowed, order
}

// match is the rule that allows an import; the standard library is its own rule.
func match(imp string, rules []string) string {
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
		return "std"
	}
	for _, rule := range rules {
		if short(imp) == rule || !strings.HasPrefix(imp, module) && (imp == rule || strings.HasPrefix(imp, rule+"/")) {
			return rule
		}
	}
	return ""
}

func short(importPath string) string {
	if importPath == module {
		return "parley"
	}
	return strings.TrimPrefix(importPath, module+"/")
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Standard,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list printed no JSON: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}
