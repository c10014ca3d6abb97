package config

import (
	"strings"
	"testing"
)

// TestCheckShell finds what only a shell understands, and not what stands in quotes for a program or a shell.
func TestCheckShell(t *testing.T) {
	for text, want := range map[string]string{
		"command=cd /srv && /bin/x":         "W157 3:9 cd is no program, but a command of shells",
		"command=source /x":                 "W157 3:9 source is no program, but a command of shells",
		"command=FOO=1 /bin/x":              "W157 3:9 a command does not begin with the setting of a variable, as in a shell",
		"command=/bin/x && /bin/y":          "W157 3:16 the program gets && as an argument, as it stands there",
		"command=/bin/x > /tmp/log 2>&1":    "W157 3:16 the program gets > as an argument, as it stands there",
		"command=/bin/x 2>/dev/null":        "W157 3:16 the program gets 2>/dev/null as an argument, as it stands there",
		"command=/bin/x | /bin/y":           "W157 3:16 the program gets | as an argument, as it stands there",
		"command=/bin/x &":                  "W157 3:16 the program gets & as an argument, as it stands there",
		"command=/bin/x -p $PORT":           "W157 3:19 nothing expands $PORT: the program gets it as it stands there",
		`command=/bin/x "--p=${PORT}:1"`:    "W157 3:21 nothing expands $PORT: the program gets it as it stands there",
		"command=/bin/x ~/conf":             "W157 3:16 nothing expands ~ in a command",
		"command=/bin/sh -c cd /srv && x":   "W157 3:28 the program gets && as an argument, as it stands there",
		"command=/bin/x\npre_stop=/bin/x &": "W157 4:17 the program gets & as an argument, as it stands there",
		`environment=PATH="/a:$PATH"`:       "W157 3:22 nothing expands $PATH in the environment",
		`environment=A="${GREETING}"`:       "W157 3:16 nothing expands $GREETING in the environment",

		"command=/bin/sh -c 'cd /srv && exec x > y $PORT'": "", `command=/bin/sh -c "exec x $PORT"`: "", "command=/bin/x -F '|' \"&\" ';'": "", "command=/bin/x '$PORT' \\$A ^a$ a$": "",
		"command=/bin/x --a=b --url=http://h/?a=1&b=2 <token> a>b": "", "command=/bin/x ~user a~/b": "", "command=/bin/x a b ;": "", "environment=A=\"pa$word\",B=\"1$2\"": "",
		"command=/bin/x %(ENV_GREETING)s": "", "command=/bin/sh -ec 'a' $0 $PORT": "",
	} {
		if !strings.HasPrefix(text, "command=") {
			text = text + "\ncommand=/bin/x"
		}
		got := strings.Join(findings(fakeMachine(map[string]string{"/bin/x": "#!", "/bin/sh": "#!", "/etc/s.conf": "[supervisord]\n[program:a]\n" + text + "\n"})), "\n")
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", text, got, want)
		}
	}
}
