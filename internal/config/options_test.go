package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestOptionsAgreeWithFields compares the classes of the option table with those of the options that are compared.
func TestOptionsAgreeWithFields(t *testing.T) {
	for _, f := range process.Fields {
		found := 0
		for _, o := range OptionsNamed(f.Name) {
			if !o.In("program") && !o.In("fcgi-program") && !o.In("eventlistener") {
				continue
			}
			found++
			if o.Class != f.Class {
				t.Errorf("%s of %v has the class %v, the field %s has %v", o.Name, o.Sections, o.Class, f.Member, f.Class)
			}
		}
		if found == 0 {
			t.Errorf("no row for %s", f.Name)
		}
	}
}

// TestOptionsAreComplete looks through the source: every option that is read by name has a row.
func TestOptionsAreComplete(t *testing.T) {
	var names []string
	for _, o := range Options {
		names = append(names, o.Name)
	}
	pkgs, err := parser.ParseDir(token.NewFileSet(), ".", func(i fs.FileInfo) bool { return !strings.HasSuffix(i.Name(), "_test.go") }, 0) //nolint:staticcheck // one directory, no build tags
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(pkgs["config"], func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		key := 0
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			if x, ok := f.X.(*ast.Ident); !ok || !slices.Contains([]string{"r", "p", "wide"}, x.Name) ||
				!slices.Contains([]string{"raw", "text", "string", "int", "bool", "bytes"}, f.Sel.Name) {
				return true
			}
		case *ast.Ident:
			if f.Name != "read" {
				return true
			}
			key = 1
		default:
			return true
		}
		if lit, ok := call.Args[key].(*ast.BasicLit); ok {
			seen++
			if name, _ := strconv.Unquote(lit.Value); !slices.Contains(names, name) {
				t.Errorf("%s is read and has no row", name)
			}
		}
		return true
	})
	if seen < 60 {
		t.Errorf("only %d reads found", seen)
	}
}

// TestOptionsAreRead gives every option of the table a value that cannot be expanded: whoever reads it complains and names it.
func TestOptionsAreRead(t *testing.T) {
	// What a section needs besides the option that is looked at.
	needs := map[string]string{
		"program": "command=x", "eventlistener": "command=x\nevents=EVENT", "fcgi-program": "command=x\nsocket=tcp://h:1", "unix_http_server": "file=/s",
		"inet_http_server": "port=1", "rpcinterface": rpcFactoryKey + "=" + FactoryMain, "ctlplugin": ctlFactoryKey + "=" + FactoryCtlGrace, "include": "files=x",
	}
	rows := 0
	for _, o := range Options {
		for _, kind := range o.Sections {
			rows++
			name := kind
			if k := knownSections[slices.Index(SectionKinds, kind)]; strings.HasSuffix(k.name, ":") {
				name += ":x"
			}
			text := "[supervisord]\n"
			if kind == "ctlplugin" {
				text += "[supervisorctl]\n"
			}
			text += "[" + name + "]\n" + needs[kind] + "\n" + o.Name + "=%(nope)s\n"
			m := fakeMachine(map[string]string{"/etc/s.conf": text})
			_, err := Load(m, "/etc/s.conf", nil)
			if kind == "supervisorctl" || kind == "ctlplugin" {
				_, err = LoadCtl(m, "/etc/s.conf")
			}
			bad, ok := err.(*Error) //nolint:errorlint // both return one
			if !ok || bad.Key != o.Name || bad.Section != name && kind != "supervisord" {
				t.Errorf("%s of [%s] is not read: %v", o.Name, name, err)
			}
			if o.Summary == "" || !strings.HasSuffix(o.Summary, ".") || o.Type == "" {
				t.Errorf("the row of %s in [%s] says too little", o.Name, name)
			}
		}
	}
	if rows < 130 {
		t.Errorf("only %d rows", rows)
	}
}

func TestOptionsNamed(t *testing.T) {
	for word, want := range map[string]int{
		"stopwaitsecs": 1, "program.stopwaitsecs": 1, " Program.StopWaitSecs ": 1, "priority": 3, "group.priority": 1, "nope": 0, "group.command": 0,
		"username": 2, "supervisor.rpcinterface_factory": 1, "rpcinterface.supervisor.rpcinterface_factory": 1,
	} {
		if got := OptionsNamed(word); len(got) != want {
			t.Errorf("%s has %d rows, want %d", word, len(got), want)
		}
	}
	for word, want := range map[string]string{"stopwaitsec": "stopwaitsecs", "program.stopwaitsec": "program.stopwaitsecs", "zzzzzz": "", "group.comand": ""} {
		if got := NearestOption(word); got != want {
			t.Errorf("nearest to %s is %q, want %q", word, got, want)
		}
	}
}
