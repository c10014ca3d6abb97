package config

import (
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

func TestParseDepends(t *testing.T) {
	for text, want := range map[string]string{
		"db":                                    "db",
		"db:ready":                              "db",
		" db : started ,migrate:completed":      "db:started,migrate:completed",
		"db:*":                                  "db",
		"db:*:completed":                        "db:completed",
		"db:db_1":                               "db:db_1",
		"db:db_1:started":                       "db:db_1:started",
		"db:ready:ready":                        "db:ready:ready", // a process called so
		"db:completed:ready,db:completed:ready": "",
		"db:db_1:x":                             "",
		"db,":                                   "",
		"db::ready":                             "",
		"a:b:c:ready":                           "",
		":ready":                                "",
		"db,db:started":                         "",
	} {
		got, err := ParseDepends(text)
		if (err == nil) != (want != "") || process.DependsText(got) != want {
			t.Errorf("%q: %q, %v", text, process.DependsText(got), err)
		}
		if err == nil {
			again, err := ParseDepends(process.DependsText(got))
			if err != nil || process.DependsText(again) != want {
				t.Errorf("%q: read again, %q, %v", text, process.DependsText(again), err)
			}
		}
	}
	if list, err := ParseDepends(""); list != nil || err != nil {
		t.Error(list, err)
	}
}

func TestParseEssential(t *testing.T) {
	for text, want := range map[string]process.Essential{
		"true": process.EssentialExit, "on_exit": process.EssentialExit, "Yes": process.EssentialExit, "on_fatal": process.EssentialFatal, "false": process.EssentialNot, "off": process.EssentialNot,
	} {
		if got, err := parseEssential(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := parseEssential("fatal"); err == nil {
		t.Error("fatal is accepted")
	}
}

// TestDependencies loads files whose dependencies are there, however they are named, or are not.
func TestDependencies(t *testing.T) {
	const programs = "[supervisord]\n[program:db]\ncommand=/bin/db\nnumprocs=2\nprocess_name=db_%(process_num)d\n" +
		"[program:a]\ncommand=/bin/a\n[program:b]\ncommand=/bin/b\n[group:site]\nprograms=a,b\n[program:web]\ncommand=/bin/web\n"
	for _, c := range []struct{ more, refused string }{
		{"depends_on=db,a:started,site:b:completed,db:db_1:started", ""}, // a group, a program in a group, and processes
		{"depends_on=site", ""},
		{"depends_on=web", "in a circle: web -> web"},
		{"depends_on=db:db_2", "names db:db_2, which is no process of db"},
		{"depends_on=site:web", "names site:web, which is no process of site"},
		{"depends_on=sites", "unknown program or group sites"},
		{"depends_on=site\n[program:c]\ncommand=/bin/c\ndepends_on=web", ""},
		{"depends_on=c\n[program:c]\ncommand=/bin/c\ndepends_on=d\n[program:d]\ncommand=/bin/d\ndepends_on=web:web", "in a circle: c -> d -> web -> c"},
	} {
		text := programs + c.more + "\n"
		_, err := Load(fakeMachine(map[string]string{"/etc/x.conf": text}), "/etc/x.conf", nil)
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v", c.more, err)
		}
	}
}
