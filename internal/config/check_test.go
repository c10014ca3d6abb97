package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// checkMachine is a machine with the tree of testdata/check at /etc/graced, some programs, logs and a unit of systemd.
func checkMachine(t testing.TB) Machine {
	t.Helper()
	files := map[string]string{
		"/bin/sleep": "#!", "/bin/bash": "#!", "/bin/data": "", "/var/log/locked/": "", "/run/": "", "/etc/there": "",
		"/etc/systemd/system/graced.service": "[Service]\nExecStart=/usr/bin/graced\nTimeoutStopSec=1min 30s\n",
	}
	names, err := filepath.Glob("testdata/check/*.conf")
	more, err2 := filepath.Glob("testdata/check/conf.d/*.conf")
	if names = append(names, more...); err != nil || err2 != nil || len(names) < 9 {
		t.Fatalf("files %q: %v, %v", names, err, err2)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files["/etc/graced"+strings.TrimPrefix(name, "testdata/check")] = string(data)
	}
	m := fakeMachine(files)
	m.UID = 1000
	m.Environ = append(slices.Clone(m.Environ), "PATH=/usr/bin:/bin")
	stat := m.Stat
	m.Stat = func(path string) (FileInfo, error) {
		info, err := stat(path)
		switch {
		case strings.HasPrefix(path, "/etc/graced/"):
			info.Mode = 0o644
		case path == "/var/log":
			info.Mode = 0o777
		}
		return info, err
	}
	return m
}

// describe writes a finding with everything that is known about it.
func describe(f Finding) string {
	place := func(p Place) string {
		s := fmt.Sprintf("%s:%d:%d-%d", p.File, p.Line, p.Col, p.EndCol)
		if p.Label != "" {
			s += "  " + p.Label
		}
		return s
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s[%s] %s  ([%s] %s)\n  at   %s\n", f.Severity, f.Code, f.Title, f.Section, f.Key, place(f.Place))
	for _, p := range f.Related {
		fmt.Fprintf(&b, "  with %s\n", place(p))
	}
	for _, n := range f.Notes {
		fmt.Fprintf(&b, "  =    %s\n", n)
	}
	return b.String()
}

// TestCheck finds everything that is wrong with the files of testdata/check, in one run.
func TestCheck(t *testing.T) {
	r := Check(checkMachine(t), "/etc/graced/supervisord.conf")
	var b strings.Builder
	codes := map[Code]bool{}
	for _, f := range r.Findings {
		codes[f.Code] = true
		b.WriteString(describe(f))
		for _, p := range append(slices.Clone(f.Related), f.Place) {
			line := r.Line(p.File, p.Line)
			if p.Line > 0 && p.Col == 0 {
				t.Errorf("%s: a line without a column", describe(f))
			}
			if n := utf8.RuneCountInString(line); p.Col > 0 && (p.EndCol < p.Col || p.EndCol > n+1) {
				t.Errorf("%s: columns %d to %d of %q", describe(f), p.Col, p.EndCol, line)
			}
			if p.Col > 0 {
				fmt.Fprintf(&b, "       %s\n       %s%s\n", line, strings.Repeat(" ", p.Col-1), strings.Repeat("^", max(1, p.EndCol-p.Col)))
			}
		}
	}
	errs, warnings := r.Count()
	fmt.Fprintf(&b, "%d files, %d programs: %d errors, %d warnings\n", r.Files, r.Programs, errs, warnings)
	got := b.String()
	if strings.Contains(got, "hunter2") {
		t.Error("a password is repeated")
	}
	if *rewrite {
		if err := os.WriteFile("testdata/check.want", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/check.want")
	if err != nil || got != string(want) {
		t.Errorf("findings changed (%v); -rewrite and read the difference:\n%s", err, changes(string(want), got))
	}
	for _, code := range allCodes {
		if !codes[code] && code != NoFile && code != NoDaemon { // those two have files of their own
			t.Errorf("no finding %s", code)
		}
	}
	for code := range codes {
		if !slices.Contains(allCodes, code) {
			t.Errorf("%s is not in the list of codes", code)
		}
		if KindOf(code).Text == "" {
			t.Errorf("%s has no text", code)
		}
	}
	if !slices.IsSortedFunc(r.Findings, func(a, b Finding) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return 1000*(a.Line-b.Line) + a.Col - b.Col
	}) {
		t.Error("the findings are not sorted by file, line and column")
	}
}

// allCodes is every code that Check can give, but for what takes too long here (see TestCheckCounts).
var allCodes = []Code{
	NoFile, NoDaemon, NotALine, NotUTF8, BadChoice, BadValue, NameTemplate, Missing, UnknownMember, BadExpansion, NoAccount, BadUmask, BadQuoting, BadName,
	KeyFirst, BadDirectory, BadLogPath, BadMode, HalfLogin, AddressTwice, KillAsGroup, UnknownEvent, NotBuiltIn, ListenerPipe, DependencyCycle, UnknownDependency,
	"W115", "W172",
	UnknownKey, UnknownSection, NoIncludeMatch, UnreadInclude, CutQuote, LegacyEnviron, SkippedToken, EnvironDiffers, OddSignal, SyslogLogfile, AutoNoRollover,
	IgnoredStderr, DuplicateProcess, DuplicateGroup, MemberOrder, GroupSocket,
	WarnRange, WarnQuoting, WarnSwallowed, WarnExecutable, WarnDirectory, WarnLog, WarnSectionTwice, WarnKeyTwice, WarnOpenServer, WarnReadable, WarnSocketMode,
	WarnWideRoll, WarnSystemd, WarnEndlessStarts, WarnNoTries, WarnBlindBreaker, WarnDeafListener, WarnEnvironFile,
	WarnNeverDone, WarnNotStarted, LongPath, WarnLongPath, WarnAddress, WarnNothing, WarnShownSecret, WarnAbsurd, WarnShell,
}

// describeShort writes a finding as "code line:col title".
func describeShort(f Finding) string {
	return fmt.Sprintf("%s %d:%d %s", f.Code, f.Line, f.Col, f.Title)
}

// findings checks the files of a machine and returns what was found as "code line:col title".
func findings(m Machine) []string { return findingsAs(m, describeShort) }

// findingsAs is findings, each told in a form of the caller's.
func findingsAs(m Machine, tell func(Finding) string) []string {
	r := Check(m, "/etc/s.conf")
	var out []string
	for _, f := range r.Findings {
		out = append(out, tell(f))
	}
	return out
}

// withLabel is describeShort with what the line itself is told.
func withLabel(f Finding) string { return describeShort(f) + "|" + f.Label }

// TestCheckFew has findings that need files of their own, and files that have none.
func TestCheckFew(t *testing.T) {
	for _, test := range []struct {
		files map[string]string
		want  string
	}{
		{nil, "E100 0:0 could not find config file /etc/s.conf"},
		{map[string]string{"/etc/s.conf": "!"}, "E100 0:0 could not read config file /etc/s.conf"},
		{map[string]string{"/etc/s.conf": "[program:a]\ncommand=/bin/x\n"}, "E103 0:0 there is no section [supervisord]"},
		{map[string]string{"/etc/s.conf": "[include]\nfiles=c\n[supervisord]\n", "/etc/c": "[supervisorctl]\n"}, "W103 1:2 [supervisorctl] stands in an included file, and clients read the main file alone"},
		{map[string]string{"/etc/s.conf": "[include]\n[supervisord]\n"}, "E113 1:2 [include] has no files"},
		{map[string]string{"/etc/s.conf": "[supervisord]\n[inet_http_server]\nport=localhost:1\n[program:a]\ncommand=/bin/x\nstopwaitsecs=1000\n", "/lib/systemd/system/graced.service": "TimeoutStopSec=infinity"}, ""},
		{map[string]string{"/etc/s.conf": "[supervisord]\n[program:a]\ncommand=/bin/x\ndrain_signal=USR1\ndrain_timeout=forever\n", "/lib/systemd/system/graced.service": "TimeoutStopSec=300"},
			"W160 5:15 drain_timeout=forever may take longer than systemd lets the daemon stop: 300 s (/lib/systemd/system/graced.service)"},
		{map[string]string{"/etc/s.conf": "[supervisord]\n[program:a]\ncommand=/bin/x\ndrain_timeout=forever\n", "/lib/systemd/system/graced.service": "TimeoutStopSec=300"}, ""},
		{map[string]string{"/etc/s.conf": "[supervisord]\n[eventlistener:e]\ncommand=/bin/x\nevents=EVENT\n[program:a]\ncommand=/bin/x\npriority=-9"},
			"W117 7:10 a priority below -1 starts before the event listeners, which do not hear of it"},
		// Clients read the main file alone.
		{map[string]string{"/etc/s.conf": "[include]\nfiles=c\n[supervisord]\n[supervisorctl]\n", "/etc/c": "[supervisorctl]\nserverurl=%(x)s\n"},
			"W140 4:2 [supervisorctl] is defined twice, later values win (as in Supervisor)"},
		{map[string]string{"/etc/s.conf": "[supervisord]\n[inet_http_server]\nport=*:1\nusername=u\npassword={SHA}x\n[unix_http_server]\nfile=/s\nchmod=0777\nusername=u\npassword=p"}, ""},
		// Two that only add to the end of a log.
		{map[string]string{"/etc/s.conf": "[supervisord]\n[DEFAULT]\nstdout_logfile=/tmp/x\nstdout_logfile_maxbytes=0\n[program:a]\ncommand=/bin/x\n[program:b]\ncommand=/bin/x"}, ""},
		{map[string]string{"/etc/s.conf": "[supervisord]\n[program:a]\ncommand=/bin/x\nnumprocs=3\nstdout_logfile=/tmp/x\nprocess_name=%(process_num)d%(process_num)"},
			"E115 6:14 a percent sign in process_name does not start a %(name)s"},
		// What is wrong with a default is one thing, however many sections have it.
		{map[string]string{"/etc/s.conf": "[DEFAULT]\nautostart=x\n[supervisord]\n[program:a]\ncommand=/bin/x\n[program:b]\ncommand=/bin/x"}, `E111 2:11 "x" is not a value of autostart`},
		// What follows from an error is no news.
		{map[string]string{"/etc/s.conf": "[supervisord]\n[program:a]\ncommand=%(x)s\nnumprocs=90000\nprocess_name=%(process_num)d"}, "E115 3:9 %(x)s cannot be expanded\nW154 4:10 numprocs=90000 is more than this machine is likely to carry"},
		{map[string]string{"/etc/s.conf": "[supervisord]\n[inet_http_server]\nport=%(x)s\nusername=%(y)s\npassword=z"}, "E115 3:6 %(x)s cannot be expanded\nE115 4:10 %(y)s cannot be expanded"},
	} {
		files := map[string]string{"/bin/x": "#!"}
		for name, text := range test.files {
			files[name] = text
		}
		if got := strings.Join(findings(fakeMachine(files)), "\n"); got != test.want {
			t.Errorf("%q:\n%s\nwant\n%s", test.files, got, test.want)
		}
	}
}

func TestStrict(t *testing.T) {
	r := Check(fakeMachine(map[string]string{"/etc/s.conf": "[supervisord]\nnope=1\n[nope]\n"}), "/etc/s.conf")
	if e, w := r.Count(); e != 0 || w != 2 {
		t.Errorf("%d errors, %d warnings", e, w)
	}
	r.Strict()
	if e, w := r.Count(); e != 2 || w != 0 || r.Findings[0].Code != "E101" || r.Findings[1].Code != "E102" {
		t.Errorf("%d errors, %d warnings: %+v", e, w, r.Findings)
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"command=x --password=hunter2 -v":     "command=x --password=******* -v",
		"command=x --password hunter2 -v":     "command=x --password ******* -v",
		`command=x --token="a b" c`:           `command=x --token="***" c`,
		"serverurl=http://u:p@ss@host/x":      "serverurl=http://u:****@host/x",
		"the password in this file":           "the password in this file",
		"A=1,API_KEY=é€x,B=2":                 "A=1,API_KEY=***,B=2",
		"http://host:80/x":                    "http://host:80/x",
		"command=x --password-file=/etc/pass": "command=x --password-file=*********",
		"password":                            "password",
		"command=x PASSWD=abc":                "command=x PASSWD=***",
		"ready=http://h/?token=abc&x=1#y":     "ready=http://h/?token=***&x=1#y",
		"ready=http://h/?a=1&token=abc&x=1":   "ready=http://h/?a=1&token=***&x=1",
		"command=x --password=a&b -v":         "command=x --password=*** -v",
		"command=x ?page_token=abc&token=a":   "command=x ?page_token=abc&token=*",
		"command=x --next-token abc":          "command=x --next-token abc",
		"x http://h:80/a@b http://u:é€@h/":    "x http://h:80/a@b http://u:**@h/",
		"x --token=http://u:é@h":              "x --token=************",
		`x -H "Authorization: Bearer abc" y`:  `x -H "Authorization: Bearer ***" y`,
	} {
		if got := mask(in); got != want {
			t.Errorf("mask(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseSpan(t *testing.T) {
	for in, want := range map[string]int{"90": 90, "5min 20s": 320, "1h": 3600, "infinity": 0, "2 minutes": 120, "": 0, "10 parsecs": 0, "99999999999999999999s": 0} {
		if got := parseSpan(in); got != want {
			t.Errorf("%q is %d s, want %d", in, got, want)
		}
	}
}

// agree checks a configuration both ways: one of them must not accept what the other refuses.
func agree(t *testing.T, m Machine, path, what string) {
	t.Helper()
	_, err := Load(m, path, nil)
	r := Check(m, path)
	var first *Finding
	for i, f := range r.Findings {
		if f.Severity == SeverityError && !f.atStart && first == nil {
			first = &r.Findings[i]
		}
		if f.Title == "" || strings.ContainsAny(f.Title+f.Label, "\n\r") || f.Code == "" || (f.Severity == SeverityError) != (f.Code[0] == 'E') {
			t.Errorf("%s: finding %+v", what, f)
		}
		for _, p := range append(slices.Clone(f.Related), f.Place) {
			line := r.Line(p.File, p.Line)
			if n := utf8.RuneCountInString(line); p.Line < 0 || p.Col < 0 || p.EndCol < p.Col || p.Col > 0 && p.EndCol > n+1 || p.Col > 0 && p.Line == 0 {
				t.Errorf("%s: %s at %+v of %q", what, f.Title, p, line)
			}
		}
	}
	if (err != nil) != (first != nil) {
		t.Errorf("%s:\nLoad says %v, Check %+v", what, err, first)
	}
	// What Load names first, Check names as well.
	var bad *Error
	if errors.As(err, &bad) && bad.Line > 0 && !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.File == bad.File && f.Code == bad.Code && f.Key == bad.Key }) {
		t.Errorf("%s:\nCheck does not name %s %s of %s: %v", what, bad.Code, bad.Key, bad.File, bad)
	}
}

// TestCheckAgreesWithLoad compares the two on everything the package has in its tests.
func TestCheckAgreesWithLoad(t *testing.T) {
	agree(t, checkMachine(t), "/etc/graced/supervisord.conf", "testdata/check")
	files, err := filepath.Glob("testdata/broken/*.conf")
	if err != nil || len(files) < 40 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		agree(t, fakeMachine(map[string]string{"/etc/s.conf": string(data)}), "/etc/s.conf", file)
	}
	for _, q := range questions(t, readSnippets(t)) {
		if q.Ctl || len(q.Args) > 0 {
			continue
		}
		m := debianMachine(q.Dir, q.Env)
		if len(q.Files) > 0 {
			inMemory(&m, q.Dir, q.Files)
		}
		agree(t, m, "supervisord.conf", fmt.Sprint(q.Files))
	}
	maker := configMaker{newRand(t)}
	for range *randomConfigs {
		s := maker.config()
		files := map[string]string{}
		for name, text := range s.files {
			files["/etc/"+name] = text
		}
		m := fakeMachine(files)
		for k, v := range s.env {
			m.Environ = append(m.Environ, k+"="+v)
		}
		agree(t, m, "/etc/supervisord.conf", marshalFiles(s.files))
	}
}

// FuzzCheck checks that no file panics, and that Check finds an error where Load does.
func FuzzCheck(f *testing.F) {
	tree := checkMachine(f)
	for _, name := range []string{"supervisord.conf", "conf.d/10-options.conf", "conf.d/20-text.conf", "conf.d/30-machine.conf", "conf.d/40-twice.conf", "conf.d/50-listeners.conf",
		"conf.d/60-lines.conf", "conf.d/61-bom.conf", "conf.d/62-latin.conf"} {
		data, err := tree.ReadFile("/etc/graced/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("[program:a]\ncommand=x\n  \n\n  y ; z 'q\nenvironment=A=\"1\n ; c\n  2\"")
	f.Add("[include]\nfiles=*.conf\n[unix_http_server]\nfile=%(here)s\nchown=0:0\n[graced]\nquirks=,\n[DEFAULT]\nx=%(here)s")
	f.Add("[rpcinterface:\x1b]\nsupervisor.rpcinterface_factory = my\x1cm\x80\x00\x00it --token=\xe9\xff")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "numprocs") {
			for _, digits := range strings.FieldsFunc(text, func(r rune) bool { return digit(r) < 0 && r != '_' }) {
				if len(digits) > 4 {
					return // a million processes take their time
				}
			}
		}
		for _, head := range []string{"", head} {
			agree(t, fakeMachine(map[string]string{"/etc/s.conf": head + text, "/etc/x.conf": text}), "/etc/s.conf", fmt.Sprintf("%q", head+text))
		}
	})
}

// manyFiles is a tree of n programs in n included files, in memory; the files of it are made once.
func manyFiles(n int) Machine {
	files := map[string]string{"/etc/s.conf": "[supervisord]\n[include]\nfiles=conf.d/*.conf\n", "/bin/sleep": "#!"}
	for i := range n {
		files[fmt.Sprintf("/etc/conf.d/%04d.conf", i)] = fmt.Sprintf("[program:p%d]\ncommand=/bin/sleep %d\nautorestart=true\nstartsecs=5 ; some\nstdout_logfile=/tmp/p%d.log\n"+
			"environment=A=\"%d\",B=\"x\"\nstopwaitsecs=30\nredirect_stderr=true\n", i, i, i, i)
	}
	m := fakeMachine(files)
	read, names := m.ReadFile, []string(nil)
	for name := range files {
		if strings.HasPrefix(name, "/etc/conf.d/") {
			names = append(names, filepath.Base(name))
		}
	}
	m.ReadDir = func(string) ([]string, error) { return names, nil }
	m.ReadFile = func(p string) ([]byte, error) {
		if _, ok := files[p]; !ok {
			return nil, fs.ErrNotExist
		}
		return read(p)
	}
	return m
}

func BenchmarkCheck(b *testing.B) {
	m := manyFiles(1000)
	for b.Loop() {
		if r := Check(m, "/etc/s.conf"); len(r.Findings) > 0 {
			b.Fatal(r.Findings)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	m := manyFiles(1000)
	for b.Loop() {
		if _, err := Load(m, "/etc/s.conf", nil); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCheckIsNotMuchSlower compares the time that Check needs for a thousand files with that of Load, in the same run: whatever the machine
// does besides hits both.
func TestCheckIsNotMuchSlower(t *testing.T) {
	m := manyFiles(1000)
	check, load := best(func() {
		if r := Check(m, "/etc/s.conf"); len(r.Findings) > 0 || r.Files != 1001 || r.Programs != 1000 {
			t.Fatalf("%d files, %d programs: %+v", r.Files, r.Programs, r.Findings)
		}
	}), best(func() {
		if _, err := Load(m, "/etc/s.conf", nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("Check %v, Load %v", check, load)
	if check > 5*load {
		t.Errorf("Check takes %v, Load %v", check, load)
	}
	// A machine that is busy, or looks for races, is slow for both.
	if check > 500*time.Millisecond && check > 2*load {
		t.Errorf("a thousand files take %v, want at most half a second", check)
	}
}

// best returns the shortest of some runs.
func best(run func()) time.Duration {
	shortest := time.Hour
	for range 5 {
		start := time.Now()
		run()
		shortest = min(shortest, time.Since(start))
	}
	return shortest
}
