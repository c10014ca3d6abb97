package ctl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/format"
)

// TestFileVerbs runs the verbs about configuration files: under gracectl alone, without a daemon, and with the words as they were typed.
func TestFileVerbs(t *testing.T) {
	verb := func(name string) FileVerb {
		return func(args []string, out, _ io.Writer) int {
			fmt.Fprintf(out, "%s %q\n", name, args)
			return len(args)
		}
	}
	session := func(face Face, out *bytes.Buffer) *Session {
		return &Session{Face: face, Out: out, Err: out, Check: verb("check"), Explain: verb("explain"), TakeOver: verb("takeover")}
	}
	for _, test := range []struct {
		args []string
		out  string
		code int
	}{
		{[]string{"check"}, "check []\n", 0},
		{[]string{"check", "-o", "short", "my file.conf"}, "check [\"-o\" \"short\" \"my file.conf\"]\n", 3},
		{[]string{"explain", "priority"}, "explain [\"priority\"]\n", 1},
		{[]string{"takeover", "--dry-run"}, "takeover [\"--dry-run\"]\n", 1},
	} {
		var out bytes.Buffer
		if code := session(Gracectl, &out).Run(context.Background(), test.args); code != test.code || out.String() != test.out {
			t.Errorf("%q: exit %d, %s", test.args, code, out.String())
		}
		out.Reset()
		if code := session(Supervisorctl, &out).Run(context.Background(), test.args); code != exitGeneric || !strings.HasPrefix(out.String(), "*** Unknown syntax: ") {
			t.Errorf("supervisorctl %q: exit %d, %s", test.args, code, out.String())
		}
		if !NeedsNoDaemon(Gracectl, test.args) || NeedsNoDaemon(Supervisorctl, test.args) {
			t.Errorf("%q needs a daemon under the wrong name", test.args)
		}
	}
	for form, want := range map[format.Form]string{"": "check [\"x\"]\n", "json": "check [\"-o\" \"json\" \"x\"]\n", "sarif": "check [\"-o\" \"sarif\" \"x\"]\n"} {
		var out bytes.Buffer
		s := session(Gracectl, &out)
		s.Form = form // of -o before the verb
		if s.Run(context.Background(), []string{"check", "x"}); out.String() != want {
			t.Errorf("in the form %q: %s", form, out.String())
		}
		out.Reset()
		if _ = s.execute(context.Background(), "check x"); out.String() != want {
			t.Errorf("in the shell, in the form %q: %s", form, out.String())
		}
	}
	if NeedsNoDaemon(Gracectl, nil) || NeedsNoDaemon(Gracectl, []string{"status"}) {
		t.Error("other verbs need a daemon")
	}
	var out bytes.Buffer
	s := session(Gracectl, &out)
	_ = s.execute(context.Background(), "check 'a b' c") // it says nothing but what it prints
	if out.String() != "check [\"a b\" \"c\"]\n" || s.status != 2 {
		t.Errorf("in the shell: status %d, %s", s.status, out.String())
	}
	out.Reset()
	_ = s.execute(context.Background(), "help explain") // likewise
	if !strings.Contains(out.String(), "explain [-o FORM] <option>") || !slices.Contains(s.verbs(), "check") {
		t.Errorf("help: %s; verbs %q", out.String(), s.verbs())
	}
	if s = session(Supervisorctl, &out); slices.Contains(s.verbs(), "check") || s.topic("check") != "" {
		t.Error("supervisorctl offers check")
	}
}
