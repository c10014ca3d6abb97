package config

import (
	"errors"
	"io/fs"
	"maps"
)

// Answers are what a machine said while a configuration was loaded: a Load on a machine that says the same makes the same Config, whatever the
// files say by then. It can be written by encoding/gob. It holds the files' text, and thus their secrets.
type Answers struct {
	Files       map[string]FileAnswer
	Directories map[string]DirectoryAnswer
	Exist       map[string]bool
	DirExist    map[string]bool
	Users       map[string]UserAnswer
	Groups      map[string]GroupAnswer
	Homes       map[string]HomeAnswer

	CPUs, UID              int
	Hostname, Dir, TempDir string
}

// FileAnswer tells what a file holds; Missing: there is none. Err, here and below, is the error's text, "" = none.
type FileAnswer struct {
	Data    []byte
	Err     string
	Missing bool
}

// DirectoryAnswer lists a directory.
type DirectoryAnswer struct {
	Names []string
	Err   string
}

// UserAnswer tells who a user is.
type UserAnswer struct {
	User User
	Err  string
}

// GroupAnswer tells a group's number.
type GroupAnswer struct {
	GID int
	Err string
}

// HomeAnswer tells a user's home directory.
type HomeAnswer struct{ Home, Err string }

// record returns a machine that says what m says, and keeps it.
func record(m Machine) (Machine, *Answers) {
	a := &Answers{
		Files: map[string]FileAnswer{}, Directories: map[string]DirectoryAnswer{}, Exist: map[string]bool{}, DirExist: map[string]bool{},
		Users: map[string]UserAnswer{}, Groups: map[string]GroupAnswer{}, Homes: map[string]HomeAnswer{},
		CPUs: m.CPUs, UID: m.UID, Hostname: m.Hostname, Dir: m.Dir, TempDir: m.TempDir,
	}
	out := m
	out.ReadFile = func(path string) ([]byte, error) {
		data, err := m.ReadFile(path)
		a.Files[path] = FileAnswer{data, text(err), errors.Is(err, fs.ErrNotExist)}
		return data, err
	}
	out.ReadDir = func(path string) ([]string, error) {
		names, err := m.ReadDir(path)
		a.Directories[path] = DirectoryAnswer{names, text(err)}
		return names, err
	}
	out.Exists = func(path string) bool {
		a.Exist[path] = m.Exists(path)
		return a.Exist[path]
	}
	out.DirExists = func(path string) bool {
		a.DirExist[path] = m.DirExists(path)
		return a.DirExist[path]
	}
	out.User = func(name string) (User, error) {
		u, err := m.User(name)
		a.Users[name] = UserAnswer{u, text(err)}
		return u, err
	}
	out.Group = func(name string) (int, error) {
		gid, err := m.Group(name)
		a.Groups[name] = GroupAnswer{gid, text(err)}
		return gid, err
	}
	out.Home = func(user string) (string, error) {
		home, err := m.Home(user)
		a.Homes[user] = HomeAnswer{home, text(err)}
		return home, err
	}
	return out, a
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// answered is the error of an answer.
func answered(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// On returns m as it was then. What was not asked is asked now.
func (a *Answers) On(m Machine) Machine {
	out := m
	out.CPUs, out.UID, out.Hostname, out.Dir, out.TempDir = a.CPUs, a.UID, a.Hostname, a.Dir, a.TempDir
	out.ReadFile = func(path string) ([]byte, error) {
		switch f, ok := a.Files[path]; {
		case !ok:
			return m.ReadFile(path)
		case f.Missing:
			return nil, fs.ErrNotExist
		default:
			return f.Data, answered(f.Err)
		}
	}
	out.ReadDir = func(path string) ([]string, error) {
		if d, ok := a.Directories[path]; ok {
			return d.Names, answered(d.Err)
		}
		return m.ReadDir(path)
	}
	out.Exists = known(a.Exist, m.Exists)
	out.DirExists = known(a.DirExist, m.DirExists)
	out.User = func(name string) (User, error) {
		if u, ok := a.Users[name]; ok {
			return u.User, answered(u.Err)
		}
		return m.User(name)
	}
	out.Group = func(name string) (int, error) {
		if g, ok := a.Groups[name]; ok {
			return g.GID, answered(g.Err)
		}
		return m.Group(name)
	}
	out.Home = func(user string) (string, error) {
		if h, ok := a.Homes[user]; ok {
			return h.Home, answered(h.Err)
		}
		return m.Home(user)
	}
	return out
}

func known(answers map[string]bool, ask func(string) bool) func(string) bool {
	answers = maps.Clone(answers)
	return func(path string) bool {
		if yes, ok := answers[path]; ok {
			return yes
		}
		return ask(path)
	}
}
