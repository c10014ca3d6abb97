package facts

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	repo     = "../../.." // the directory of the module
	snippets = "internal/config/testdata/snippets"
)

// proofs knows which tests there are. It reads each package once.
type proofs struct {
	packages map[string]*testPackage
}

// testPackage is what can be referred to in a package.
type testPackage struct {
	err   error
	tests map[string][]string // the strings of the file in which a test stands
	names []string            // of the files of testdata
	data  []string            // and what they hold
}

func newProofs() *proofs { return &proofs{packages: map[string]*testPackage{}} }

// missing says why a reference proves nothing; "" if it names a test that there is.
func (p *proofs) missing(ref string) string {
	if rest, ok := strings.CutPrefix(ref, "contract:"); ok {
		return missingInScript(rest)
	}
	if title, ok := strings.CutPrefix(ref, "config:"); ok {
		return p.missingConfig(title)
	}
	dir, rest, ok := strings.Cut(ref, " ")
	if !ok {
		return "not of the form PACKAGE TestName"
	}
	name, example, hasExample := strings.Cut(rest, "/")
	pkg := p.packages[dir]
	if pkg == nil {
		pkg = readPackage(filepath.Join(repo, dir))
		p.packages[dir] = pkg
	}
	texts, ok := pkg.tests[name]
	switch {
	case pkg.err != nil:
		return pkg.err.Error()
	case !ok:
		return fmt.Sprintf("%s has no %s", dir, name)
	case !hasExample:
		return ""
	case len(example) < 2:
		return "the case is too short to be found"
	}
	contains := func(text string) bool { return strings.Contains(text, example) }
	if slices.ContainsFunc(texts, contains) || slices.ContainsFunc(pkg.data, contains) {
		return ""
	}
	for _, n := range pkg.names {
		if n == example || strings.TrimSuffix(n, filepath.Ext(n)) == example {
			return ""
		}
	}
	return fmt.Sprintf("%s has no case %q", name, example)
}

// testName is what go test runs.
var testName = regexp.MustCompile(`^(Test|Fuzz)[A-Z0-9]`)

// readPackage parses the test files of a package and lists its test data.
func readPackage(dir string) *testPackage {
	p := &testPackage{tests: map[string][]string{}}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		p.err = fmt.Errorf("no test files in %s", dir)
		return p
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			p.err = err
			return p
		}
		var names, texts []string
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && testName.MatchString(f.Name.Name) && takesT(f) {
				names = append(names, f.Name.Name)
			}
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					texts = append(texts, text)
				}
			}
			return true
		})
		for _, name := range names {
			p.tests[name] = texts
		}
	}
	p.names, p.data, p.err = readData(filepath.Join(dir, "testdata"))
	return p
}

// takesT reports whether a function has the one parameter of a test.
func takesT(f *ast.FuncDecl) bool {
	if len(f.Type.Params.List) != 1 {
		return false
	}
	star, ok := f.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	return ok && (sel.Sel.Name == "T" || sel.Sel.Name == "F")
}

// readData lists the files below a directory, and reads them.
func readData(dir string) (names, texts []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		names = append(names, d.Name())
		text, err := readFile(path)
		texts = append(texts, string(text))
		return err
	})
	if os.IsNotExist(err) {
		err = nil
	}
	return names, texts, err
}

// readFile reads a file, which may be compressed.
func readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil || filepath.Ext(path) != ".gz" {
		return data, err
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// missingInScript looks for NAME#LABEL, for NAME#text of a statement, or for the script alone.
func missingInScript(ref string) string {
	name, text, _ := strings.Cut(ref, "#")
	script, err := os.ReadFile(filepath.Join("..", "testdata", name+".script"))
	if err != nil {
		return err.Error()
	}
	if text == "" {
		return ""
	}
	for line := range strings.Lines(string(script)) {
		line = strings.TrimSpace(line)
		if line == "label "+text || line == text || len(text) >= 8 && strings.Contains(line, text) {
			return ""
		}
	}
	return fmt.Sprintf("%s.script has no label and no line %q", name, text)
}

// missingConfig looks for TOPIC#TITLE: a configuration that Supervisor was asked about.
func (p *proofs) missingConfig(ref string) string {
	topic, title, ok := strings.Cut(ref, "#")
	if !ok {
		return "not of the form config:TOPIC#TITLE"
	}
	text, err := os.ReadFile(filepath.Join(repo, snippets, topic+".txt"))
	if err != nil {
		return err.Error()
	}
	if !strings.Contains("\n"+string(text), "\n#### "+title+"\n") {
		return fmt.Sprintf("%s.txt has no %q", topic, title)
	}
	return ""
}
