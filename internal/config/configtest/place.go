// Package configtest holds configurations in the shape of real ones, for the tests of packages that read them or run them.
//
// Only tests import it.
package configtest

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed real
var real embed.FS

// Trees are the names of the configurations: queue workers, a web site with its task queue, a container, and a conf.d of fifty files.
var Trees = []string{"laravel", "celery", "container", "confd"}

// Environ is what the configurations expect in the daemon's environment.
var Environ = map[string]string{
	"PATH": "/usr/bin:/bin", "FLOWER_PASSWORD": "secret", "PHP_MEMORY": "256M", "WORKERS": "2", "WITH_WORKERS": "true", "STAGE": "staging",
	"CONCURRENCY": "5", "PORT_THREE": "8003",
}

var (
	// rooted are the absolute paths that become paths below the place: what the daemon itself opens, or looks for.
	rooted    = regexp.MustCompile(`(^|[=\s"',]|unix://)(/(?:var/log|var/run|var/www|run|srv|opt|etc/supervisor|dev/null)\b)`)
	someUsers = regexp.MustCompile(`(?m)^(\s*user\s*=\s*)deploy\b`)
	logPath   = regexp.MustCompile(`(?m)^\s*(?:std(?:out|err)_logfile|logfile|childlogdir|pidfile|file)\s*[=:]\s*(/[^\s;]*|%\(here\)s/[^\s;]*)`)
)

// Place writes a configuration into dir, which takes the place of / and of /etc/supervisor, and makes the directories that it
// needs. The user deploy becomes nobody. The main file is dir/supervisord.conf.
func Place(tree, dir string) error {
	top := "real/" + tree
	return fs.WalkDir(real, top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := filepath.Join(dir, strings.TrimPrefix(name, top))
		if d.IsDir() {
			return os.MkdirAll(path, 0o755)
		}
		data, err := real.ReadFile(name)
		if err != nil {
			return err
		}
		text := rooted.ReplaceAllString(string(data), "${1}"+dir+"${2}")
		text = strings.ReplaceAll(text, dir+"/etc/supervisor", dir)
		text = someUsers.ReplaceAllString(text, "${1}nobody")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
		for _, m := range logPath.FindAllStringSubmatch(text, -1) {
			needed := strings.ReplaceAll(m[1], "%(here)s", filepath.Dir(path))
			if !strings.HasPrefix(needed, dir) {
				continue
			}
			if !strings.Contains(m[0], "childlogdir") {
				needed = filepath.Dir(needed)
			}
			if err := os.MkdirAll(needed, 0o755); err != nil {
				return err
			}
		}
		return nil
	})
}
