package config

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeMachine is a machine whose files are given: path to content. Every directory of a file exists, and those named with a slash at
// the end. Content "!" is a file that cannot be read.
func fakeMachine(files map[string]string) Machine {
	dirs := map[string]bool{"/": true, "/tmp": true}
	children := map[string][]string{}
	for name := range files {
		p := strings.TrimSuffix(name, "/")
		if p != name {
			dirs[p] = true
		}
		for d := p; d != "/"; d = path.Dir(d) {
			parent := path.Dir(d)
			dirs[parent] = true
			if !slices.Contains(children[parent], path.Base(d)) {
				children[parent] = append(children[parent], path.Base(d))
			}
		}
	}
	users := map[string]User{"root": {"root", 0, 0}, "0": {"root", 0, 0}, "alice": {"alice", 1001, 1002}, "1001": {"alice", 1001, 1002},
		"daemon": {"daemon", 1, 1}, "nobody": {"nobody", 65534, 65534}}
	groups := map[string]int{"root": 0, "daemon": 1, "wheel": 10, "10": 10}
	return Machine{
		ReadFile: func(p string) ([]byte, error) {
			switch content, ok := files[p]; {
			case dirs[p]:
				return nil, errors.New("is a directory")
			case !ok:
				return nil, fs.ErrNotExist
			case content == "!":
				return nil, fs.ErrPermission
			default:
				return []byte(content), nil
			}
		},
		ReadDir: func(p string) ([]string, error) {
			if !dirs[path.Clean(p)] {
				return nil, fs.ErrNotExist
			}
			return children[path.Clean(p)], nil
		},
		Exists:    func(p string) bool { _, ok := files[path.Clean(p)]; return ok || dirs[path.Clean(p)] },
		DirExists: func(p string) bool { return dirs[path.Clean(p)] },
		Stat: func(p string) (FileInfo, error) {
			p = path.Clean(p)
			text, ok := files[p]
			switch {
			case dirs[p]:
				return FileInfo{Dir: true, Mode: 0o755}, nil
			case !ok:
				return FileInfo{}, fs.ErrNotExist
			case strings.HasPrefix(text, "#!"):
				return FileInfo{Mode: 0o755}, nil
			}
			return FileInfo{Mode: 0o600}, nil
		},
		User: func(name string) (User, error) {
			if u, ok := users[name]; ok {
				return u, nil
			}
			return User{}, errors.New("no such user")
		},
		Group: func(name string) (int, error) {
			if g, ok := groups[name]; ok {
				return g, nil
			}
			return 0, errors.New("no such group")
		},
		Home: func(user string) (string, error) {
			if user == "alice" {
				return "/home/alice/", nil
			}
			return "", errors.New("no such user")
		},
		Hostname: "node", Environ: []string{"HOME=/root", "GREETING=hello"}, Dir: "/", TempDir: "/tmp",
	}
}

// osMachine is the machine of the test, with a fixed environment.
func osMachine(dir string, environ ...string) Machine {
	m := fakeMachine(nil)
	m.ReadFile = os.ReadFile
	m.ReadDir = func(p string) ([]string, error) {
		entries, err := os.ReadDir(p)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names, err
	}
	m.Exists = func(p string) bool { _, err := os.Lstat(p); return err == nil }
	m.DirExists = func(p string) bool { info, err := os.Stat(p); return err == nil && info.IsDir() }
	m.Stat = func(p string) (FileInfo, error) {
		info, err := os.Stat(p)
		if err != nil {
			return FileInfo{}, err
		}
		return FileInfo{Dir: info.IsDir(), Mode: int(info.Mode().Perm())}, nil
	}
	m.Dir, m.Environ, m.TempDir = dir, environ, "/tmp"
	return m
}

func TestGlob(t *testing.T) {
	m := fakeMachine(map[string]string{
		"/e/a.conf": "", "/e/b.conf": "", "/e/.hidden.conf": "", "/e/sub/c.conf": "", "/e/sub2/d.conf": "", "/e/[x].conf": "", "/e/é.conf": "",
		"/e/deep/er/f.conf": "", `/e/back\slash`: "",
	})
	for pattern, want := range map[string]string{
		"/e/*.conf": "/e/[x].conf /e/a.conf /e/b.conf /e/é.conf", "/e/.*.conf": "/e/.hidden.conf", "/e/?.conf": "/e/a.conf /e/b.conf /e/é.conf",
		"/e/[ab].conf": "/e/a.conf /e/b.conf", "/e/[!a].conf": "/e/b.conf /e/é.conf", "/e/[a-c].conf": "/e/a.conf /e/b.conf",
		"/e/a.conf": "/e/a.conf", "/e/none.conf": "", "/e/sub*/*.conf": "/e/sub/c.conf /e/sub2/d.conf", "/e/*/c.conf": "/e/sub/c.conf",
		"/e/**/*.conf": "/e/sub/c.conf /e/sub2/d.conf", "/e/**/f.conf": "", "/e/sub*/": "/e/sub/ /e/sub2/", "/e/[[]x].conf": "/e/[x].conf",
		"/e/[x].conf": "", "/none/*": "", "/e/[": "", "/e/b*h": `/e/back\slash`, `/e/back\slash`: `/e/back\slash`, "/e/[]x[]x*": "/e/[x].conf",
		"/*/a.conf": "/e/a.conf", "/e/*a*": `/e/a.conf /e/back\slash`, "/e/sub/../a.c*": "/e/sub/../a.conf",
	} {
		if got := strings.Join(m.glob(pattern), " "); got != want {
			t.Errorf("glob(%s) = %q, want %q", pattern, got, want)
		}
	}
}

// TestGlobLive compares the patterns with Go's own matcher where both dialects agree.
func TestGlobLive(t *testing.T) {
	rnd := newRand(t)
	for range 20000 {
		random := func(alphabet string) string {
			var b strings.Builder
			for range rnd.Intn(7) {
				b.WriteByte(alphabet[rnd.Intn(len(alphabet))])
			}
			return b.String()
		}
		pattern, name := random("ab*?"), random("ab")
		want, err := filepath.Match(pattern, name)
		if got := match(pattern, name); err != nil || got != want {
			t.Fatalf("match(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	}
}

func TestPaths(t *testing.T) {
	m := fakeMachine(nil)
	m.Dir = "/srv/dir"
	for in, want := range map[string]string{
		"a": "/srv/dir/a", "../a": "/srv/a", "/a//b/../c/": "/a/c", "//a": "//a", "///a": "/a", "": "/srv/dir", "~/x": "/root/x", "~": "/root",
		"~alice/x": "/home/alice/x", "~nobody/x": "/srv/dir/~nobody/x", ".": "/srv/dir",
	} {
		if got := m.normalize(in); got != want {
			t.Errorf("normalize(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"/a/b": "/a", "a": "", "/": "/", "/a": "/", "a//b": "a", "//a": "//", "a/": "a"} {
		if got := dirname(in); got != want {
			t.Errorf("dirname(%q) = %q, want %q", in, got, want)
		}
	}
	m.Environ = nil
	m.Home = func(user string) (string, error) { return "/h" + user, nil }
	if got := m.expanduser("~/x"); got != "/h/x" {
		t.Errorf("without HOME, ~/x is %q", got)
	}
}

func TestSearchPaths(t *testing.T) {
	want := "/usr/etc/supervisord.conf /usr/supervisord.conf supervisord.conf etc/supervisord.conf /etc/supervisord.conf /etc/supervisor/supervisord.conf"
	if got := strings.Join(SearchPaths("/usr/bin"), " "); got != want {
		t.Errorf("search paths %q, want %q", got, want)
	}
	m := fakeMachine(map[string]string{"/etc/supervisord.conf": "", "/etc/supervisor/supervisord.conf": "", "/w/": ""})
	m.Dir = "/w"
	if got, err := FindDefault(m, "/usr/bin"); err != nil || got != "/etc/supervisord.conf" {
		t.Errorf("FindDefault = %q, %v", got, err)
	}
	_, err := FindDefault(fakeMachine(nil), "/usr/bin")
	wantErr := "No config file found at default paths (" + strings.ReplaceAll(want, " ", ", ") +
		"); use the -c option to specify a config file at a different path"
	if err == nil || err.Error() != wantErr {
		t.Errorf("error %q, want %q", err, wantErr)
	}
}
