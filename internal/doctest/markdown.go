// Package doctest executes the documentation: every fenced code block of the documents in the root and below docs is run, loaded or parsed, so that
// what a reader copies works. CONTRIBUTING.md tells authors how.
//
// It exists for tests alone: nothing imports it, and it may import anything.
package doctest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Block is one fenced code block.
type Block struct {
	File  string
	Line  int               // of its first line of text, 1-based
	Tag   string            // the first word after the fence: the language
	Attrs map[string]string // the other words: key=value, or key with the value ""
	Text  string            // ends with a newline unless it is empty
}

// Place names the block's position for messages.
func (b Block) Place() string { return fmt.Sprintf("%s:%d", b.File, b.Line) }

var (
	fence = regexp.MustCompile("^([ \t]*(?:> ?)?[ \t]*)(`{3,}|~{3,})[ \t]*([^`]*)$")
	link  = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)
)

// Parse finds the code blocks of a document and the problems of its form: a fence that is not closed, a block without a language, a
// link to a file that does not exist.
func Parse(file, text string) (blocks []Block, problems []string) {
	problem := func(line int, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s:%d: ", file, line)+fmt.Sprintf(format, args...))
	}
	var open *Block
	var indent, marks string
	line := 0
	for raw := range strings.Lines(text) {
		line++
		raw = strings.TrimRight(raw, "\r\n")
		m := fence.FindStringSubmatch(raw)
		switch {
		case open == nil && m != nil:
			indent, marks = m[1], m[2]
			words := strings.Fields(m[3])
			open = &Block{File: file, Line: line + 1, Attrs: map[string]string{}}
			if len(words) == 0 {
				problem(line, "code block without a language; free text is ```text")
				break
			}
			open.Tag = words[0]
			for _, word := range words[1:] {
				key, value, _ := strings.Cut(word, "=")
				open.Attrs[key] = strings.Trim(value, `"`)
			}
		case open != nil && m != nil && strings.HasPrefix(m[2], marks) && m[3] == "":
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.Text += strings.TrimPrefix(raw, indent) + "\n"
		default:
			for _, m := range link.FindAllStringSubmatch(raw, -1) {
				if target := m[1]; !reachable(file, target) {
					problem(line, "link to %s, which does not exist", target)
				}
			}
		}
	}
	if open != nil {
		problem(open.Line-1, "code block is not closed")
	}
	return blocks, problems
}

// reachable says whether a link leads somewhere as far as can be told without a network: other sites and places within a document pass.
func reachable(file, target string) bool {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "#") || strings.HasPrefix(target, "mailto:") {
		return true
	}
	path, _, _ := strings.Cut(target, "#")
	_, err := os.Stat(filepath.Join(filepath.Dir(file), path))
	return err == nil
}
