package config

import (
	"path"
	"strings"
)

// The functions here are Python's os.path for POSIX, whose corner cases decide where a file is looked for.

// dirname returns everything before the last slash, without the slashes at its end.
func dirname(p string) string {
	head := p[:strings.LastIndexByte(p, '/')+1]
	if trimmed := strings.TrimRight(head, "/"); trimmed != "" {
		return trimmed
	}
	return head
}

// join appends p to dir, unless p is absolute.
func join(dir, p string) string {
	switch {
	case strings.HasPrefix(p, "/"):
		return p
	case dir == "" || strings.HasSuffix(dir, "/"):
		return dir + p
	default:
		return dir + "/" + p
	}
}

// normpath removes ".", ".." and doubled slashes; exactly two leading slashes are kept, as POSIX says.
func normpath(p string) string {
	clean := path.Clean(p)
	if strings.HasPrefix(p, "//") && !strings.HasPrefix(p, "///") {
		clean = "/" + clean
	}
	return clean
}

// abspath makes p absolute against the working directory and normalises it.
func (m Machine) abspath(p string) string { return normpath(join(m.Dir, p)) }

// expanduser replaces a leading ~ or ~user; an unknown user leaves p as it is.
func (m Machine) expanduser(p string) string {
	if !strings.HasPrefix(p, "~") {
		return p
	}
	user, rest := p[1:], ""
	if i := strings.IndexByte(p, '/'); i >= 0 {
		user, rest = p[1:i], p[i:]
	}
	home, ok := "", false
	if user == "" {
		home, ok = m.getenv("HOME")
	}
	if !ok {
		var err error
		if home, err = m.Home(user); err != nil {
			return p
		}
	}
	if full := strings.TrimRight(home, "/") + rest; full != "" {
		return full
	}
	return "/"
}

// normalize expands ~ and makes p absolute.
func (m Machine) normalize(p string) string { return m.abspath(m.expanduser(p)) }

// existingDirpath expands ~ in a file name and checks that its directory exists; a bare name has none to check.
func (m Machine) existingDirpath(v string) (string, error) {
	p := m.expanduser(v)
	if dir := dirname(p); dir != "" && !m.DirExists(join(m.Dir, dir)) {
		return "", &valueError{"The directory named as part of the path " + v + " does not exist", "create the directory, or name another file"}
	}
	return p, nil
}

// existingDirectory expands ~ and checks that the directory exists.
func (m Machine) existingDirectory(v string) (string, error) {
	p := m.expanduser(v)
	if p == "" || !m.DirExists(join(m.Dir, p)) {
		return "", &valueError{v + " is not an existing directory", "create it, or name another directory"}
	}
	return p, nil
}
