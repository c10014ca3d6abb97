package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/rewrite"
)

// fixing is what check --fix is to do.
type fixing struct {
	wanted, dry, force bool
	out                io.Writer // for what is changed
}

// edits returns the fixes of a report.
func edits(r *config.Report) []config.Edit {
	var out []config.Edit
	for _, f := range r.Findings {
		if f.Fix != nil {
			out = append(out, *f.Fix)
		}
	}
	return out
}

// fixedFile is a file on its way to another content.
type fixedFile struct {
	name      string // as it was named
	path      string
	old, next []byte
}

// fixedFiles are the files that fixes change, in the order in which they were found.
type fixedFiles []*fixedFile

// get returns the file of that name, read when it is asked for the first time.
func (l *fixedFiles) get(m config.Machine, name string) (*fixedFile, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(m.Dir, path)
	}
	for _, f := range *l {
		if f.path == path {
			return f, nil
		}
	}
	data, err := m.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &fixedFile{name, path, data, data}
	*l = append(*l, f)
	return f, nil
}

// over returns the machine on which the files have their new content already.
func (l *fixedFiles) over(m config.Machine) config.Machine {
	read := m.ReadFile
	m.ReadFile = func(path string) ([]byte, error) {
		for _, f := range *l {
			if f.path == filepath.Clean(path) {
				return f.next, nil
			}
		}
		return read(path)
	}
	return m
}

// mostRounds is how often fixes are looked for: what a name that was corrected says may ask for another fix.
const mostRounds = 3

// all shows every fix of a report, and carries them out unless the run is a dry one. Nothing is written that would have more errors than before.
func (x fixing) all(m config.Machine, path string, r config.Report) error {
	before, _ := r.Count()
	var files fixedFiles
	for range mostRounds {
		if err := x.round(m, &files, &r); err != nil {
			return fmt.Errorf("cannot fix: %w", err)
		}
		r = config.Check(files.over(m), path)
	}
	after, _ := r.Count()
	switch {
	case len(files) == 0:
		fmt.Fprintln(x.out, "nothing can be fixed without a human")
		return nil
	case after > before:
		return errors.New("not fixed: what is meant by a corrected name is an error; correct it by hand")
	case x.dry:
		fmt.Fprintln(x.out, "not written: this is a dry run")
		return nil
	}
	for _, f := range files {
		if err := x.write(f); err != nil {
			return fmt.Errorf("cannot fix: %w", err)
		}
	}
	return nil
}

// round shows the fixes of a report and puts them into the files.
func (x fixing) round(m config.Machine, files *fixedFiles, r *config.Report) error {
	of := map[*fixedFile][]config.Edit{}
	var order []*fixedFile
	for _, e := range edits(r) {
		f, err := files.get(m, e.File)
		if err != nil {
			return err
		}
		if of[f] == nil {
			order = append(order, f)
		}
		of[f] = append(of[f], e)
	}
	for _, f := range order {
		next, err := apply(f.name, string(f.next), of[f])
		if err != nil {
			return err
		}
		f.next = []byte(next)
		x.show(r, f.name, of[f])
	}
	return nil
}

// show prints the lines that edits change.
func (x fixing) show(r *config.Report, file string, list []config.Edit) {
	fmt.Fprintln(x.out, file)
	for _, e := range list {
		if e.Col == 0 {
			fmt.Fprintf(x.out, "%4d +%s\n", e.Line+1, e.Text)
			continue
		}
		before := r.Line(e.File, e.Line) // nothing secret is in it
		after, ok := edited(before, e)
		if !ok {
			after = before
		}
		fmt.Fprintf(x.out, "%4d -%s\n%4d +%s\n", e.Line, before, e.Line, after)
	}
}

// write writes a file.
func (x fixing) write(f *fixedFile) error {
	written, err := rewrite.File(f.path, f.old, f.next, x.force)
	switch {
	case errors.Is(err, rewrite.ErrReadOnly):
		return fmt.Errorf("%w; --force writes it all the same", err)
	case err != nil:
		return err
	case written.Names > 1:
		fmt.Fprintf(x.out, "%s written in place: the file has %d names (hard links), and all of them have it\n", f.name, written.Names)
	default:
		fmt.Fprintln(x.out, f.name+" written")
	}
	return nil
}

// apply returns a text with edits. It refuses a text in which places are not what they seem.
func apply(file, text string, list []config.Edit) (string, error) {
	if !utf8.ValidString(text) || strings.Contains(strings.ReplaceAll(text, "\r\n", "\n"), "\r") {
		return "", fmt.Errorf("%s is not UTF-8 with lines that end in a line feed", file)
	}
	lines := strings.SplitAfter(text, "\n")
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b config.Edit) int { return -cmp.Or(a.Line-b.Line, a.Col-b.Col) })
	for _, e := range list {
		if e.Line > len(lines) {
			return "", fmt.Errorf("%s has no line %d any more", file, e.Line)
		}
		line := strings.TrimRight(lines[e.Line-1], "\r\n")
		end := lines[e.Line-1][len(line):]
		if e.Col == 0 {
			end = cmp.Or(end, "\n")
			lines[e.Line-1] = line + end + e.Text + end
			continue
		}
		next, ok := edited(line, e)
		if !ok {
			return "", fmt.Errorf("%s:%d is not what it was", file, e.Line)
		}
		lines[e.Line-1] = next + end
	}
	return strings.Join(lines, ""), nil
}

// edited applies an edit to its line; false if what is to be replaced is not there.
func edited(line string, e config.Edit) (string, bool) {
	at := 0
	for range e.Col - 1 {
		_, n := utf8.DecodeRuneInString(line[at:])
		if n == 0 {
			return "", false
		}
		at += n
	}
	end := at + len(e.Old)
	if end > len(line) || !strings.EqualFold(line[at:end], e.Old) {
		return "", false
	}
	return line[:at] + e.Text + line[end:], true
}
