package internal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestTests checks the tests: one that is skipped says what that hides and why, which the summary of make test prints and counts, and none sleeps:
// tests wait for what they wait for.
func TestTests(t *testing.T) {
	skips := 0
	for _, root := range []string{".", "../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				f, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				at := set.Position(call.Pos())
				switch pkg, _ := f.X.(*ast.Ident); {
				case pkg != nil && pkg.Name == "time" && f.Sel.Name == "Sleep":
					t.Errorf("%s: a test that sleeps", at)
				case slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, f.Sel.Name):
					skips++
					if !says(call.Args) {
						t.Errorf(`%s: a skip that does not say "hidden: ..., because ..."`, at)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if skips == 0 {
		t.Error("no test is ever skipped: nothing was looked at")
	}
}

// says reports whether the arguments of a skip tell what it hides and why.
func says(args []ast.Expr) bool {
	if len(args) == 0 {
		return false
	}
	text, ok := args[0].(*ast.BasicLit)
	if !ok {
		return false
	}
	reason, err := strconv.Unquote(text.Value)
	what, why, found := strings.Cut(strings.TrimPrefix(reason, "hidden: "), ", because ")
	return err == nil && found && strings.HasPrefix(reason, "hidden: ") && what != "" && why != ""
}
