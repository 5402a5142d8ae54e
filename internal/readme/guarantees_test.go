package readme

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-io/parley/delivery/deliverytest"
	"github.com/parley-io/parley/transport/transporttest"
)

var (
	checkReference = regexp.MustCompile(`\b(broker|delivery|call) (\d+)\b`)
	testReference  = regexp.MustCompile(`\b([a-z0-9/]+)\.(Test\w+)`)
)

func TestEachGuaranteeNamesWhatShowsIt(t *testing.T) {
	t.Parallel()
	text, _, ok := strings.Cut(read(t, "../../docs/guarantees.md"), "\n## What is not promised")
	if !ok {
		t.Fatal("docs/guarantees.md has no section of what is not promised")
	}
	_, text, _ = strings.Cut(text, "\n## ")
	promises := 0
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if !strings.HasPrefix(paragraph, "**") {
			continue
		}
		promises++
		if !checkReference.MatchString(paragraph) && !testReference.MatchString(paragraph) {
			t.Errorf("this promise names nothing that shows it:\n%s", paragraph)
		}
	}
	if promises == 0 {
		t.Error("docs/guarantees.md has no promise; want paragraphs that begin in bold")
	}
	checks := numbers()
	for _, m := range checkReference.FindAllStringSubmatch(text, -1) {
		if !checks[m[1]][m[2]] {
			t.Errorf("docs/guarantees.md names %s; want a check that exists", m[0])
		}
	}
	tests := make(map[string]map[string]bool)
	for _, m := range testReference.FindAllStringSubmatch(text, -1) {
		if tests[m[1]] == nil {
			tests[m[1]] = testsOf(t, m[1])
		}
		if !tests[m[1]][m[2]] {
			t.Errorf("docs/guarantees.md names %s; want a test of that package", m[0])
		}
	}
}

// numbers are the checks of each suite.
func numbers() map[string]map[string]bool {
	all := map[string]map[string]bool{"broker": {}, "delivery": {}, "call": {}}
	note := func(suite string, r transporttest.Rule) { all[suite][strconv.Itoa(r.Number)] = true }
	for _, p := range transporttest.Brokers() {
		note("broker", p.Rule)
	}
	for _, p := range deliverytest.Promises() {
		note("delivery", p.Rule)
	}
	for _, p := range transporttest.Callers() {
		note("call", p.Rule)
	}
	return all
}

// testsOf are the tests of a package, by its path in the module; parley is the root.
func testsOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	dir := filepath.Join("../..", path)
	if path == "parley" {
		dir = "../.."
	}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}
