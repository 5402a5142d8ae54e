package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A table that is out of date would be found out at night only.
func TestEachMutantAppliesAndItsCheckIsThere(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	tests := make(map[string]map[string]bool) // by directory
	for _, m := range mutants {
		if seen[m.name] || m.name == "" || m.defect == "" {
			t.Errorf("mutant %q (%s): want a name of its own, and its defect in words", m.name, m.defect)
		}
		seen[m.name] = true
		text, err := m.apply(root)
		if err != nil {
			t.Errorf("mutant %s: %v", m.name, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, text, 0); err != nil {
			t.Errorf("mutant %s is no Go: %v", m.name, err)
		}
		if tests[m.dir] == nil {
			tests[m.dir] = testsIn(t, filepath.Join(root, m.dir))
		}
		if test, _, _ := strings.Cut(m.check, "/"); !tests[m.dir][test] {
			t.Errorf("mutant %s: %s has no test %s", m.name, m.dir, test)
		}
	}
}

// testsIn are the names of a package's tests.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

func TestAMutantIsKilledOnlyByTheCheckThatItsLineNames(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.org/lamp\n\ngo 1.26\n",
		"lamp.go": "package lamp\n\n// On is always true.\nfunc On() bool { return true }\n\nfunc unused() bool { return false }\n",
		"lamp_test.go": "package lamp\n\nimport \"testing\"\n\nfunc TestOn(t *testing.T) {\n\tif !On() {\n\t\tt.Error(\"On = false; want true\")\n\t}\n}\n\n" +
			"func TestLazy(t *testing.T) { On() }\n\nfunc TestBroken(t *testing.T) { t.Fatal(\"always\") }\n\n" +
			"func TestEnds(t *testing.T) {\n\tif !On() {\n\t\tpanic(\"dark\")\n\t}\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := &lab{root: root, limit: 2 * 60e9, sound: make(map[string]error)}
	on := func(check string) mutant {
		return mutant{name: "off", defect: "the lamp is off", file: "lamp.go", before: "{ return true }", after: "{ return false }", dir: ".", check: check}
	}
	twice, invalid := on("TestOn"), on("TestOn")
	twice.before = "return"
	invalid.after = "{ return 1 }"
	for _, c := range []struct {
		what   string
		m      mutant
		fate   fate
		detail string
	}{
		{"noticed", on("TestOn"), dead, "On = false; want true"},
		{"noticed by a panic", on("TestEnds"), dead, "dark"},
		{"not noticed", on("TestLazy"), survives, "the lamp is off, and the check passes"},
		{"the check fails without it", on("TestBroken"), unfit, "without the mutant the check does not pass"},
		{"there is no such check", on("TestNone"), unfit, "no such check"},
		{"the text is there twice", twice, unfit, "want it once"},
		{"it does not compile", invalid, unfit, "neither passed nor failed"},
	} {
		if r := l.try(t.Context(), c.m); r.fate != c.fate || !strings.Contains(r.detail, c.detail) {
			t.Errorf("%s: got %s (%s); want %s (…%s…)", c.what, r.fate, r.detail, c.fate, c.detail)
		}
	}
	if text, err := os.ReadFile(filepath.Join(root, "lamp.go")); err != nil || !strings.Contains(string(text), "{ return true }") {
		t.Errorf("lamp.go = %q, %v; want it untouched", text, err)
	}
}

func TestMutantsAreChosenByName(t *testing.T) {
	t.Parallel()
	all := []mutant{{name: "a"}, {name: "b", server: true}, {name: "c"}}
	for _, c := range []struct {
		only    string
		servers bool
		want    string
	}{{"", true, "abc"}, {"", false, "ac"}, {"c,b", true, "bc"}, {"b", false, ""}} {
		chosen, err := choose(all, c.only, c.servers)
		got := ""
		for _, m := range chosen {
			got += m.name
		}
		if err != nil || got != c.want {
			t.Errorf("choose(%q, servers %t) = %q, %v; want %q", c.only, c.servers, got, err, c.want)
		}
	}
	if _, err := choose(all, "a,d", true); err == nil || !strings.Contains(err.Error(), `"d"`) {
		t.Errorf("choose(a,d) = %v; want an error that names d", err)
	}
}
