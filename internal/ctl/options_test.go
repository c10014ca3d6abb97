package ctl

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/format"
)

func TestCommandLine(t *testing.T) {
	tests := []struct {
		args   string // separated by blanks
		want   string // "c=… s=… u=… p=… r=… i o | action", or
		usage  string // the usage error
		stdout string // the beginning of stdout
	}{
		{args: "", want: "|"},
		{args: "status -c x", want: "| status -c x"},
		{args: "-c f -s http://h:1 -u me -p pw -r hist -i tail -f a", want: "c=f s=http://h:1 u=me p=pw r=hist i | tail -f a"},
		{args: "-cf -shttp://h -ume -ppw -rhist", want: "c=f s=http://h u=me p=pw r=hist |"},
		{args: "--configuration=f --serverurl unix:///s --user me --pass= --history_file h --interactive -- -x", want: "c=f s=unix:///s u=me p= r=h i | -x"},
		{args: "--history-file h", want: "r=h |"}, // quirk E1
		{args: "-ic f x", want: "c=f i | x"},
		{args: "- x", want: "| - x"},
		{args: "-s FOO:bar x", want: "s=FOO:bar | x"},
		{args: "-h", stdout: "supervisorctl -- "},
		{args: "-? -c", usage: "option -c requires argument"},
		{args: "-c a -?", stdout: "supervisorctl -- "},
		{args: "--he", stdout: "supervisorctl -- "},
		{args: "-Z", usage: "option -Z not recognized"},
		{args: "-:", usage: "option -: not recognized"},
		{args: "--nope=3", usage: "option --nope not recognized"},
		{args: "--h", usage: "option --h not a unique prefix"},
		{args: "--hist h", want: "r=h |"},
		{args: "--conf", usage: "option --configuration requires argument"},
		{args: "--inter=3", usage: "option --interactive must not have an argument"},
		{args: "-i --interactive", usage: "conflicting command line option '--interactive'"},
		{args: "-c a --conf b", usage: "conflicting command line option '--configuration'"},
		{args: "-r a --history-file b", usage: "conflicting command line option '--history-file'"},
		{args: "-s foo", usage: "invalid value for -s 'foo': value 'foo' is not a URL"},
		{args: "--server unix://", usage: "invalid value for --serverurl 'unix://': value 'unix://' is not a URL"},
		{args: "-s 1x:y", usage: "invalid value for -s '1x:y': value '1x:y' is not a URL"},
		{args: "-o plain", usage: "option -o not recognized"},
	}
	for _, tt := range tests {
		cl, exit := ParseCommandLine(Supervisorctl, "prog", strings.Fields(tt.args))
		switch {
		case tt.usage != "":
			want := "Error: " + tt.usage + "\nFor help, use prog -h\n"
			if exit == nil || exit.Code != 2 || exit.Stderr != want || exit.Stdout != "" {
				t.Errorf("%q: %+v, want %q", tt.args, exit, want)
			}
		case tt.stdout != "":
			if exit == nil || exit.Code != 0 || !strings.HasPrefix(exit.Stdout, tt.stdout) || !strings.Contains(exit.Stdout, "Usage: prog ") {
				t.Errorf("%q: %+v", tt.args, exit)
			}
		case exit != nil:
			t.Errorf("%q: %+v", tt.args, exit)
		default:
			var words []string
			add := func(name string, v *string) {
				if v != nil {
					words = append(words, name+"="+*v)
				}
			}
			add("c", cl.Config)
			add("s", cl.ServerURL)
			add("u", cl.Username)
			add("p", cl.Password)
			add("r", cl.HistoryFile)
			if cl.Interactive {
				words = append(words, "i")
			}
			words = append(append(words, "|"), cl.Action...)
			if got := strings.Join(words, " "); got != tt.want {
				t.Errorf("%q: %q, want %q", tt.args, got, tt.want)
			}
		}
	}
}

func TestGracectlCommandLine(t *testing.T) {
	cl, exit := ParseCommandLine(Gracectl, "gracectl", []string{"-o", "plain", "status"})
	if exit != nil || !cl.Plain || strings.Join(cl.Action, " ") != "status" {
		t.Errorf("-o plain: %+v, %+v", cl, exit)
	}
	cl, exit = ParseCommandLine(Gracectl, "gracectl", strings.Fields("--output=json --timeout 2 --parallel=3 start -o yaml web"))
	if exit != nil || cl.Plain || cl.Form != format.JSON || cl.Timeout != 2*time.Second || cl.Parallel != 3 || strings.Join(cl.Action, " ") != "start -o yaml web" {
		t.Errorf("-o json and more: %+v, %+v", cl, exit)
	}
	for args, want := range map[string]string{
		"-o xml":       "invalid value for -o 'xml': the forms are json, jsonl, yaml, name, plain",
		"--timeout 0":  "invalid value for --timeout '0': it takes seconds, or a duration such as 1m30s",
		"--timeout x":  "invalid value for --timeout 'x'",
		"--parallel 0": "invalid value for --parallel '0': it takes a number from 1 on",
	} {
		if _, exit = ParseCommandLine(Gracectl, "gracectl", strings.Fields(args)); exit == nil || exit.Code != 2 || !strings.Contains(exit.Stderr, want) {
			t.Errorf("%s: %+v", args, exit)
		}
	}
	_, exit = ParseCommandLine(Gracectl, "/usr/bin/gracectl", []string{"-h"})
	if exit == nil || exit.Code != 0 {
		t.Fatalf("-h: %+v", exit)
	}
	for _, want := range []string{"usage: /usr/bin/gracectl [options]", "--history-file", "\n  grace_update <group>", "\n  status [name ...]"} {
		if !strings.Contains(exit.Stdout, want) {
			t.Errorf("-h lacks %q:\n%s", want, exit.Stdout)
		}
	}
}

func TestFaceOf(t *testing.T) {
	for argv0, want := range map[string]Face{
		"supervisorctl": Supervisorctl, "/usr/bin/supervisorctl": Supervisorctl, "./supervisorctl": Supervisorctl,
		"gracectl": Gracectl, "/opt/supervisorctl/gracectl": Gracectl, "": Gracectl,
	} {
		if got := FaceOf(argv0); got != want {
			t.Errorf("%q: %v", argv0, got)
		}
	}
}

func TestQuote(t *testing.T) {
	// The answers are Python's: repr of the same string.
	for in, want := range map[string]string{
		"foo": `'foo'`, "it's": `"it's"`, `a"b`: `'a"b'`, `'"`: `'\'"'`, "a\\b\n\t\r": `'a\\b\n\t\r'`, "\x01\x7f": `'\x01\x7f'`, "ü": `'ü'`, "\u0085": `'\x85'`,
		"\u200b": `'\u200b'`, "\xff": `'\udcff'`, "\U000e0001": `'\U000e0001'`,
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestParseInt(t *testing.T) {
	// The answers are those of Python's int().
	for in, want := range map[string]int64{"5": 5, "-5": -5, "+7": 7, "0": 0, "007": 7, "1_000": 1000, "-1_0": -10} {
		if got, ok := parseInt(in); !ok || got != want {
			t.Errorf("parseInt(%q) = %d, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "-", "x", "--5", "+-5", "1__0", "_1", "1_", "-_1", "0x10", "1.5"} {
		if got, ok := parseInt(in); ok {
			t.Errorf("parseInt(%q) = %d", in, got)
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain\n": "plain\n", "ü": `\xfc`, "€x": `\u20acx`, "\U0001f600": `\U0001f600`, "\xff": `\xff`, "\ufffd": `\ufffd`,
	} {
		if got := escapeNonASCII(in); got != want {
			t.Errorf("escape(%q) = %s, want %s", in, got, want)
		}
	}
}

// TestColumns checks the layout at its edges; the answers are those of Python's cmd.Cmd.columnize.
func TestColumns(t *testing.T) {
	for _, tt := range []struct {
		words, want string
		width       int
	}{
		{"", "<empty>", 10},
		{"abc", "abc", 1},
		{"a b c", "a  b  c", 7},
		{"a b c", "a  c|b", 6},
		{"a b c", "a  c|b", 4},
		{"a b c", "a|b|c", 3},
		{"aa b ccc d", "aa  ccc|b   d  ", 7},
		{"aa b ccc d", "aa   d|b  |ccc", 6},
	} {
		if got := strings.Join(columns(strings.Fields(tt.words), tt.width), "|"); got != tt.want {
			t.Errorf("columns(%q, %d) = %q, want %q", tt.words, tt.width, got, tt.want)
		}
	}
}

// TestFormsBeforeTheVerb takes what a verb knows, and tells a wrong command line in the form that it asks for.
func TestFormsBeforeTheVerb(t *testing.T) {
	for _, c := range []struct {
		line, form string
		err        string // what is printed
	}{
		{"-o sarif check x", "sarif", ""},
		{"-o short check", "short", ""},
		{"-o json explain x", "json", ""},
		{"-o sarif status", "", "Error: invalid value for -o 'sarif': the forms are json, jsonl, yaml, name, plain\nFor help, use gracectl -h\n"},
		{"-o json --bogus status", "", `{"schema":"graced.error/v1","code":"E312","title":"wrong usage","detail":"option --bogus not recognized"}` + "\n"},
		{"--parallel 0 --output=yaml status", "", "schema: graced.error/v1\ncode: E312\ntitle: \"wrong usage\"\ndetail: \"invalid value for --parallel '0': it takes a number from 1 on\"\n"},
		{"--bogus status", "", "Error: option --bogus not recognized\nFor help, use gracectl -h\n"},
	} {
		args := strings.Fields(c.line)
		cl, exit := ParseCommandLine(Gracectl, "gracectl", args)
		var out, err bytes.Buffer
		if exit != nil {
			exit.Print(Gracectl, args, &out, &err)
		}
		if (exit == nil) != (c.err == "") || exit == nil && string(cl.Form) != c.form || err.String() != c.err || out.Len() > 0 {
			t.Errorf("%s: the form %q, %s%s", c.line, cl.Form, &out, &err)
		}
	}
}

// TestFormsBehindWhatIsWrong tells what is wrong with a command line in the form that it asks for, wherever it does.
func TestFormsBehindWhatIsWrong(t *testing.T) {
	document := func(detail string) string {
		return `{"schema":"graced.error/v1","code":"E312","title":"wrong usage","detail":"` + detail
	}
	for _, c := range []struct{ line, want string }{
		{"update --steady x -o json", document("update: invalid value for --steady 'x'")},
		{"update --frobnicate -o json", document("update: option --frobnicate not recognized")},
		{"update --frobnicate 3 --outp=jsonl", document("update: option --frobnicate not recognized")},
		{"update --max-unavailable -1 web -o json", document("update: invalid value for --max-unavailable '-1'")},
		{"status -Z -ojson", document("status: option -Z not recognized")},
		{"start --parallel x --timeout y -o json", document("start: invalid value for --parallel 'x'")},
		{"status -o xml -o json", document("status: invalid value for -o 'xml'")},
		{"status -o json -o xml", document("status: invalid value for -o 'xml'")},
		{"stop --state DEAD -o yaml", "schema: graced.error/v1\ncode: E312\n"},
		{"frob -o json", document(`no verb \"frob\""`)},
		{"frob a b --output=yaml", "schema: graced.error/v1\ncode: E312\n"},
		{"frob -o plain", "error[E312]: no verb \"frob\"\n"},
		{"update --steady x -- -o json", "error[E312]: update: invalid value for --steady 'x'"},
		{"status --nope", "error[E312]: status: option --nope not recognized\n"},
	} {
		f := newFixture(t, Gracectl)
		if exit := f.Run(t.Context(), strings.Fields(c.line)); !strings.HasPrefix(f.err.String(), c.want) || exit != exitUsage || f.out.Len() > 0 || len(f.d.calls) > 0 {
			t.Errorf("%s: exit %d, calls %s, stderr\n%s%s", c.line, exit, f.d.calls, f.out, f.err)
		}
	}
}
