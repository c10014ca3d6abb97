package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/config"
)

// Blocks prints every finding with the lines it is about, and a line that sums up.
func Blocks(w io.Writer, r *config.Report, _ config.Machine) error {
	var b strings.Builder
	for _, f := range r.Findings {
		block(&b, r, f)
		b.WriteByte('\n')
	}
	errs, warnings := r.Count()
	fmt.Fprintf(&b, "%s, %s: %s, %s.", count(r.Files, "file"), count(r.Programs, "program"), count(errs, "error"), count(warnings, "warning"))
	if errs > 0 {
		b.WriteString("   graced keeps running the old configuration until the errors are gone.")
	}
	if n := len(edits(r)); n > 0 {
		fmt.Fprintf(&b, "   check --fix corrects %d of them.", n)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// block prints one finding: title, place, the lines with what is marked in them, notes.
func block(b *strings.Builder, r *config.Report, f config.Finding) {
	main := f.Place
	here, elsewhere := []config.Place{main}, []config.Place(nil)
	for _, p := range f.Related {
		if p.File == f.File && p.Line > 0 && f.Line > 0 {
			here = append(here, p)
		} else {
			elsewhere = append(elsewhere, p)
		}
	}
	slices.SortStableFunc(here, func(a, b config.Place) int { return a.Line - b.Line })
	last := here[len(here)-1].Line
	for _, p := range elsewhere {
		last = max(last, p.Line)
	}
	width := len(strconv.Itoa(last))
	gutter := strings.Repeat(" ", width+2)

	fmt.Fprintf(b, "%s[%s]: %s\n%s--> %s\n", f.Severity, f.Code, f.Title, gutter[1:], where(main))
	if f.Line > 0 {
		b.WriteString(gutter + "|\n")
		for _, p := range here {
			excerpt(b, r, p, width, p == main)
		}
	} else if f.Label != "" {
		b.WriteString(gutter + "= " + f.Label + "\n")
	}
	for _, p := range elsewhere {
		fmt.Fprintf(b, "%s::: %s\n%s|\n", gutter[1:], where(p), gutter)
		excerpt(b, r, p, width, false)
	}
	for _, n := range f.Notes {
		b.WriteString(gutter + "= " + n + "\n")
	}
}

// excerpt prints a line, and under it the marks and what is to be said about them.
func excerpt(b *strings.Builder, r *config.Report, p config.Place, width int, main bool) {
	mark := "-"
	if main {
		mark = "^"
	}
	line := r.Line(p.File, p.Line)
	fmt.Fprintf(b, " %*d | %s\n", width, p.Line, line)
	if p.Col == 0 {
		return
	}
	under := strings.Repeat(" ", width+2) + "| " + strings.Repeat(" ", p.Col-1) + strings.Repeat(mark, max(1, p.EndCol-p.Col)) + " " + p.Label
	b.WriteString(strings.TrimRight(under, " ") + "\n")
}

// where is file:line:col, as far as it is known.
func where(p config.Place) string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Short prints a line for each finding, file:line:col: severity[code]: text, as compilers do. What is about a whole file is at 1:1.
func Short(w io.Writer, r *config.Report, _ config.Machine) error {
	var b strings.Builder
	for _, f := range r.Findings {
		text := f.Title
		if f.Label != "" {
			text += "; " + f.Label
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s[%s]: %s\n", f.File, max(1, f.Line), max(1, f.Col), f.Severity, f.Code, text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
