package config

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// glob returns the names matching an absolute pattern, sorted, as Python's glob.glob finds them: * ? [seq] [!seq], a leading dot is
// matched by a dot alone, ** means *, and a backslash is an ordinary character.
func (m Machine) glob(pattern string) []string {
	names := m.globAll(pattern)
	slices.Sort(names)
	return names
}

func (m Machine) globAll(pattern string) []string {
	dir, base := dirname(pattern), pattern[strings.LastIndexByte(pattern, '/')+1:]
	if !hasMagic(pattern) {
		if base == "" && m.DirExists(dir) || base != "" && m.Exists(pattern) {
			return []string{pattern}
		}
		return nil
	}
	dirs := []string{dir}
	if dir != pattern && hasMagic(dir) {
		dirs = m.globAll(dir)
	}
	var out []string
	for _, d := range dirs {
		if !hasMagic(base) {
			if base == "" && m.DirExists(d) || base != "" && m.Exists(join(d, base)) {
				out = append(out, join(d, base))
			}
			continue
		}
		names, err := m.ReadDir(d)
		if err != nil {
			continue // as the reference: a directory that cannot be read has no matches
		}
		for _, name := range names {
			if strings.HasPrefix(name, ".") && !strings.HasPrefix(base, ".") {
				continue
			}
			if match(base, name) {
				out = append(out, join(d, name))
			}
		}
	}
	return out
}

func hasMagic(p string) bool { return strings.ContainsAny(p, "*?[") }

// match is Python's fnmatch.fnmatchcase.
func match(pattern, name string) bool {
	star, mark := -1, 0 // the last * seen and where in name its match was tried
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				star, mark = p, n
				p++
				continue
			}
			r, size := utf8.DecodeRuneInString(name[n:])
			if width, ok := matchOne(pattern[p:], r, name[n:n+size]); ok {
				p, n = p+width, n+size
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(name[mark:])
		mark += size
		p, n = star+1, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches one character against the head of a pattern that is not a star, and returns that head's length.
func matchOne(pattern string, r rune, char string) (int, bool) {
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		if set, width := bracket(pattern); width > 0 {
			return width, inSet(set, r)
		}
		return 1, char == "["
	}
	_, width := utf8.DecodeRuneInString(pattern)
	return width, char == pattern[:width]
}

// bracket returns what stands between the brackets at the head of pattern, and their whole length; 0 if they never close. A closing
// bracket right after the opening one, or after its !, is a member of the set.
func bracket(pattern string) (string, int) {
	i := 1
	if i < len(pattern) && pattern[i] == '!' {
		i++
	}
	if i < len(pattern) && pattern[i] == ']' {
		i++
	}
	end := strings.IndexByte(pattern[min(i, len(pattern)):], ']')
	if end < 0 {
		return "", 0
	}
	return pattern[1 : i+end], i + end + 1
}

func inSet(set string, r rune) bool {
	set, negated := strings.CutPrefix(set, "!")
	chars := []rune(set)
	found := false
	for i := 0; i < len(chars); i++ {
		if i+2 < len(chars) && chars[i+1] == '-' {
			found = found || chars[i] <= r && r <= chars[i+2]
			i += 2
			continue
		}
		found = found || chars[i] == r
	}
	return found != negated
}
