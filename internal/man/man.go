// Package man writes manual pages and keeps the files in docs/man in step with the programs. Only tests import it.
package man

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("man", false, "write the manual pages anew")

// Page is a manual page in the macros of man(7).
type Page struct {
	text    strings.Builder
	section bool // a section has just begun: its first paragraph needs no macro
}

// date is that of the last change of the pages' form; manual pages have one.
const date = "2026-11-26"

// New begins a page, e.g. of "gracectl" in section 1. about is one line without a full stop.
func New(name, section, about string) *Page {
	p := &Page{}
	p.text.WriteString(`.\" Made by "make man": do not edit.` + "\n")
	p.line(".TH " + strings.ToUpper(name) + " " + section + " " + date + " graced")
	p.line(".SH NAME")
	p.line(Escape(name) + ` \- ` + Escape(about))
	return p
}

// Section begins a section.
func (p *Page) Section(title string) {
	p.line(".SH " + strings.ToUpper(title))
	p.section = true
}

// Paragraph writes running text.
func (p *Page) Paragraph(text string) {
	if !p.section {
		p.line(".PP")
	}
	p.section = false
	p.line(Escape(text))
}

// Item writes a tag and what is said about it.
func (p *Page) Item(tag, text string) {
	p.section = false
	p.line(".TP")
	p.line(".B " + Escape(tag))
	p.line(Escape(text))
}

func (p *Page) line(s string) { p.text.WriteString(s + "\n") }

// Escape writes text so that no character is taken for a request, and options can be copied from the page.
func Escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, `"`, `\(dq`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// Check compares the page with the file of that name below docs/man, or writes it with -man, and lets mandoc look at it where that is installed.
func (p *Page) Check(t *testing.T, root, name string) {
	t.Helper()
	path := filepath.Join(root, "docs/man", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(p.text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if p.text.String() != string(want) {
		t.Errorf("%s is not what the program's tables say: run make man", path)
	}
	if _, err := exec.LookPath("mandoc"); err == nil {
		if out, err := exec.Command("mandoc", "-Tlint", "-Wwarning", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("mandoc: %v\n%s", err, out)
		}
	}
}
