package internal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/graced/graced/"

// layers is the import table of ARCHITECTURE.md: what each package may import of this module. A package without a row fails the test.
// Test files may import what they like.
var layers = map[string][]string{
	"cmd/graced": {"internal/childlog", "internal/client", "internal/config", "internal/control", "internal/daemon", "internal/demo", "internal/health", "internal/host",
		"internal/machine", "internal/pidproxy", "internal/process", "internal/report", "internal/store", "internal/takeover", "internal/web", "internal/xmlrpc"},
	"cmd/gracectl":    {"internal/config", "internal/control", "internal/ctl", "internal/machine", "internal/report"},
	"internal/demo":   {"internal/client", "internal/control", "internal/process"},
	"internal/web":    {"internal/control", "internal/plan", "internal/process"},
	"internal/xmlrpc": {"internal/control", "internal/plan", "internal/process", "internal/pytext"},
	"internal/ctl": {"internal/client", "internal/control", "internal/format", "internal/plan", "internal/process", "internal/rewrite", "internal/shlex",
		"internal/xmlrpc"},
	"internal/client": {"internal/control", "internal/process", "internal/xmlrpc"},
	"internal/daemon": {"internal/childlog", "internal/config", "internal/control", "internal/core", "internal/event", "internal/health", "internal/host",
		"internal/plan", "internal/process", "internal/pytext", "internal/store"},
	"internal/machine":  {"internal/config"},
	"internal/report":   {"internal/config", "internal/format", "internal/rewrite"},
	"internal/rewrite":  {},
	"internal/host":     {"internal/process", "internal/shlex"},
	"internal/health":   {"internal/host", "internal/process"},
	"internal/takeover": {"internal/control", "internal/core", "internal/event", "internal/host", "internal/process"},
	"internal/childlog": {"internal/process"},
	"internal/store":    {"internal/plan", "internal/process"},
	"internal/control":  {"internal/plan", "internal/process"},
	"internal/core":     {"internal/event", "internal/plan", "internal/process"},
	"internal/event":    {"internal/pytext"},
	"internal/pytext":   {},
	"internal/plan":     {"internal/process"},
	"internal/config":   {"internal/event", "internal/process", "internal/pytext", "internal/shlex"},
	"internal/shlex":    {},
	"internal/format":   {},
	"internal/process":  {},
	"internal/pidproxy": {}, // a program of its own, which has nothing to do with the daemon
	"internal/bench":    {}, // a black box around the binaries
}

// pure packages take the time, the environment and every fact about the machine as arguments.
var pure = []string{"internal/process", "internal/shlex", "internal/config", "internal/plan", "internal/pytext", "internal/event", "internal/core"}

// impureImports lists what no pure package imports, with the reason.
var impureImports = map[string]string{
	"os": "facts about the machine come in as arguments", "os/exec": "only package host starts processes", "os/signal": "only the mains listen to signals",
	"os/user": "look-ups come in as functions", "net": "no network", "net/http": "no network", "syscall": "no system calls", "golang.org/x/sys/unix": "no system calls",
	"sync": "one owner, no locks", "sync/atomic": "one owner, no locks", "context": "nothing blocks", "log": "facts are returned, not logged",
	"log/slog": "facts are returned, not logged", "math/rand": "randomness is an argument", "math/rand/v2": "randomness is an argument", "runtime": "no runtime tricks",
}

// impureCalls lists the functions of package time that read or wait for the clock.
var impureCalls = []string{"Now", "After", "AfterFunc", "Sleep", "Since", "Until", "Tick", "NewTimer", "NewTicker"}

// TestLayers checks every import of the module's packages against the table, and that the table has no row too many.
func TestLayers(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range sources(t) {
		seen[f.pkg] = true
		allowed, ok := layers[f.pkg]
		if !ok {
			if testOnly(f.pkg) {
				continue
			}
			t.Errorf("%s: package %s has no row in the layer table (internal/arch_test.go)", f.path, f.pkg)
			continue
		}
		for _, imp := range f.ast.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			inner, ok := strings.CutPrefix(path, module)
			if ok && !slices.Contains(allowed, inner) {
				t.Errorf("%s: %s must not import %s; allowed: %v", f.path, f.pkg, inner, allowed)
			}
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(layers)) {
		if !seen[pkg] {
			t.Errorf("the layer table has a row for %s, which has no source file", pkg)
		}
	}
}

// unlinked lists what no program may link, directly or through others, with the reason.
var unlinked = map[string]map[string]string{
	"cmd/gracectl": {
		"net/http": "its start takes longer than a call (docs/adr/006)", "crypto/tls": "the client speaks plain HTTP",
		"text/template": "texts are put together by hand", "encoding/xml": "package xmlrpc reads its own",
	},
}

// TestUnlinked checks the programs against that list.
func TestUnlinked(t *testing.T) {
	for program, list := range unlinked {
		cmd := exec.Command("go", "list", "-deps", "./"+program)
		cmd.Dir = ".."
		cmd.Stderr = os.Stderr
		deps, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		linked := strings.Fields(string(deps))
		if !slices.Contains(linked, module+program) {
			t.Errorf("%s is not among its own packages: %q", program, linked)
		}
		for pkg, why := range list {
			if slices.Contains(linked, pkg) {
				t.Errorf("%s links %s: %s", program, pkg, why)
			}
		}
	}
}

// TestNoPatternsAtStart checks that what gracectl links of this module compiles no regular expression before it is needed: a start is as long as
// a call.
func TestNoPatternsAtStart(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "./cmd/gracectl")
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	deps, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	linked := strings.Fields(string(deps))
	for _, f := range sources(t) {
		if !slices.Contains(linked, module+f.pkg) {
			continue
		}
		for _, decl := range f.ast.Decls {
			vars, ok := decl.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			ast.Inspect(vars, func(n ast.Node) bool {
				if call, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := call.X.(*ast.Ident); ok && x.Name == "regexp" {
						t.Errorf("%s: a pattern is compiled at every start of gracectl", f.fset.Position(n.Pos()))
					}
				}
				return true
			})
		}
	}
}

// TestPurity checks that pure packages import nothing impure, read no clock and start no goroutine.
func TestPurity(t *testing.T) {
	checked := 0
	for _, f := range sources(t) {
		if !slices.Contains(pure, f.pkg) {
			continue
		}
		checked++
		for _, imp := range f.ast.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			if why, bad := impureImports[path]; bad {
				t.Errorf("%s: pure package imports %s: %s", f.path, path, why)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: go statement in a pure package", f.fset.Position(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(impureCalls, n.Sel.Name) {
					t.Errorf("%s: time.%s in a pure package: the time comes in with the input", f.fset.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
	if checked == 0 {
		t.Fatal("no source file of a pure package found")
	}
}

// testOnly reports whether a package exists for tests alone; such a package may import anything and is imported by no other.
func testOnly(pkg string) bool {
	return slices.Contains([]string{"internal", "internal/sim", "internal/contract", "internal/contract/facts", "internal/control/controltest", "internal/config/configtest",
		"internal/doctest", "internal/testsum", "internal/man"}, pkg)
}

type source struct {
	path, pkg string
	fset      *token.FileSet
	ast       *ast.File
}

// sources parses every non-test Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	for _, root := range []string{".", "../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return filepath.SkipDir
			case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fset := token.NewFileSet()
			parsed, err := parser.ParseFile(fset, path, src, 0)
			if err != nil {
				return err
			}
			pkg := filepath.ToSlash(filepath.Dir(filepath.Join("internal", path)))
			out = append(out, source{path, pkg, fset, parsed})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}
