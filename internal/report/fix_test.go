package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write puts a file into the directory of a command.
func write(t *testing.T, c Command, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(c.Machine.Dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFix corrects what one letter makes right, gives processes names of their own, and leaves the rest to a human.
func TestFix(t *testing.T) {
	main := "[supervisord]\nnodaemno=true\n[include]\nfiles=inc.conf\n[inet_http_server]\nport=127.0.0.1:9\nusername=u\npasswrd=hunter2\n"
	inc := "[progam:a]\ncommand=/bin/sh\n[program:b]\r\ncommand=/bin/sh\r\nNumProc=2 ; how many\r\n[program:c]\ncommand=/bin/sh\nnumprocs=2\n" +
		"[program:d]\ncommand=/bin/sh\nnumprocs=2\nprocess_name=é%(program_name)s ; name\n" +
		"[program:e]\ncommand=/bin/sh\nstopsec=3\nautostart=true\nautostar=true\numsk=022\numas=022\n[program:f]\ncommand=/bin/sh\nnumprocs=3"
	wantMain := strings.NewReplacer("nodaemno", "nodaemon", "passwrd", "password").Replace(main)
	wantInc := "[program:a]\ncommand=/bin/sh\n[program:b]\r\ncommand=/bin/sh\r\nnumprocs=2 ; how many\r\nprocess_name=%(program_name)s_%(process_num)02d\r\n[program:c]\ncommand=/bin/sh\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)02d\n" +
		"[program:d]\ncommand=/bin/sh\nnumprocs=2\nprocess_name=é%(program_name)s_%(process_num)02d ; name\n" +
		"[program:e]\ncommand=/bin/sh\nstopsec=3\nautostart=true\nautostar=true\numask=022\numas=022\n[program:f]\ncommand=/bin/sh\nnumprocs=3\nprocess_name=%(program_name)s_%(process_num)02d\n"
	c := tree(t)
	mainPath, incPath := write(t, c, "main.conf", main, 0o640), write(t, c, "inc.conf", inc, 0o644)
	if err := os.Link(incPath, incPath+".2"); err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}

	out, errText, code := run(c, "check", "main.conf")
	if !strings.HasSuffix(out, "   check --fix corrects 8 of them.\n") || code != 2 || strings.Contains(out, "hunter2") {
		t.Errorf("exit %d, %s\n%s", code, errText, out)
	}
	dry, errText, code := run(c, "check", "--fix", "--dry-run", "main.conf")
	if code != 2 || errText != "" || read(mainPath) != main || read(incPath) != inc {
		t.Errorf("a dry run: exit %d, %s", code, errText)
	}
	golden(t, c, "fix.txt", dry)
	out, errText, code = run(c, "check", "main.conf", "--fix")
	if errText != "" || strings.Contains(out, "not written") || strings.Contains(out, "hunter2") ||
		!strings.Contains(out, "written in place: the file has 2 names (hard links), and all of them have it\n") || strings.Contains(out, "E112") {
		t.Errorf("exit %d, %s\n%s", code, errText, out)
	}
	if got := read(mainPath); got != wantMain {
		t.Errorf("main.conf:\n%s", got)
	}
	if got := read(incPath + ".2"); got != wantInc {
		t.Errorf("inc.conf: %q\nwant %q", got, wantInc)
	}
	out, _, code = run(c, "check", "main.conf", "--fix", "-o", "json")
	if !strings.HasPrefix(out, "{") || code != 0 {
		t.Errorf("another run: exit %d\n%s", code, out)
	}
}

// TestFixRefused writes nothing where it cannot be sure, or should not.
func TestFixRefused(t *testing.T) {
	const typo = "[supervisord]\nnodaemno=true\n"
	for _, test := range []struct {
		text, args, want string
		mode             os.FileMode
	}{
		{typo, "--fix", "has the mode 0440: nobody may write to it; --force writes it all the same\n", 0o440},
		{"[supervisord]\nnodaemno=perhaps\n", "--fix", "not fixed: what is meant by a corrected name is an error; correct it by hand\n", 0o600},
		{strings.ReplaceAll(typo, "\n", "\r"), "--fix", "is not UTF-8 with lines that end in a line feed\n", 0o600},
	} {
		c := tree(t)
		path := write(t, c, "s.conf", test.text, test.mode)
		_, errText, code := run(c, "check", append(strings.Fields(test.args), "s.conf")...)
		if got, _ := os.ReadFile(path); string(got) != test.text || code != 2 || !strings.HasPrefix(errText, "Error: ") || !strings.HasSuffix(errText, test.want) {
			t.Errorf("%q: exit %d, %s", test.text, code, errText)
		}
	}
	c := tree(t)
	path := write(t, c, "s.conf", typo, 0o440)
	out, errText, code := run(c, "check", "--fix", "--force", "s.conf")
	if got, _ := os.ReadFile(path); string(got) != "[supervisord]\nnodaemon=true\n" || code != 0 || errText != "" {
		t.Errorf("with --force: exit %d, %s%s, %q", code, errText, out, got)
	}
}

// TestEnvironment gives %(ENV_NAME)s what the daemon will have.
func TestEnvironment(t *testing.T) {
	c := tree(t)
	write(t, c, "s.conf", "[supervisord]\nidentifier=%(ENV_A)s%(ENV_B)s%(ENV_C)s\nlogfile=%(ENV_D)s/x.log\n", 0o600)
	write(t, c, "vars", "# remark\n\n; remark\nexport A=1\nB=\"two words\"\nC='x\nD=/nowhere\n", 0o600)
	write(t, c, "bad", "A=1\nno variable\n", 0o600)
	for _, test := range []struct {
		args, want, err string
		code            int
	}{
		{"s.conf", "%(ENV_A)s cannot be expanded", "", 2},
		{"--env vars s.conf", "/nowhere/x.log does not exist", "", 2},
		{"--env vars --env D=/tmp s.conf", "no errors", "", 0},
		{"s.conf --env D=/tmp --env=vars", "/nowhere/x.log", "", 2}, // the later wins
		{"--env bad s.conf", "", "bad:2 is no NAME=VALUE", 2},
		{"--env none s.conf", "", "neither NAME=VALUE nor a file that can be read", 2},
	} {
		out, errText, code := run(c, "check", strings.Fields(test.args)...)
		if !strings.Contains(out, test.want) || !strings.Contains(errText, test.err) || code != test.code {
			t.Errorf("check %s: exit %d\n%s%s", test.args, code, out, errText)
		}
	}
}
