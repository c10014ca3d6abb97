package config

import (
	"strings"
	"testing"
)

// TestSaysSecret tells what is a secret from what only looks like one.
func TestSaysSecret(t *testing.T) {
	for text, want := range map[string]string{
		"x --password=hunter2 -v":             "--password",
		"x --db-password hunter2":             "--db-password",
		"x -token=hunter2":                    "-token",
		"x --apiToken 'hunter2'":              "--apiToken",
		`x --token="hunter 2"`:                "--token",
		"env API_KEY=hunter2 x":               "API_KEY",
		"/bin/sh -c 'PGPASSWORD=hunter2 x'":   "PGPASSWORD",
		"http://h/x?a=1&client_secret=hunter": "client_secret",
		"http://h/x?token=hunter2":            "token",
		"x --aws-access-key=hunter2":          "--aws-access-key",
		"x --api-key=hunter2":                 "--api-key",
		"x --password= --token=hunter2":       "--token",
		"x --password-file=/run/x --secret=s": "--secret",

		"x --password=%(ENV_PASSWORD)s":     "",
		"x --password=%(ENV_A)s%(ENV_B)s":   "",
		"x --password-file=/run/secret":     "",
		"x --password=/run/secret":          "",
		"x --password ~/secret":             "",
		"x --password-stdin":                "",
		"x --password":                      "",
		"x --password --verbose":            "",
		"x --password -":                    "",
		"x --token-file a":                  "",
		"x --max-tokens=100":                "",
		"x --tokenizer=bert":                "",
		"x --no-password=true":              "",
		"x --require-token yes":             "",
		"sh -c 'x --password=$PASSWORD'":    "",
		"sh -c 'x --token=\"${T}\"'":        "",
		"sh -c 'x --token=$(cat /run/t)'":   "",
		"sh -c 'x --token=`cat t`'":         "",
		"x --token=<token>":                 "",
		"x --pass=env:X --passphrase=env:X": "",
		"x --secret=@/run/s":                "",
		"reset password now":                "",
		"print the secret token":            "",
		"x --secretary=anna":                "",
		"http://h/token/x":                  "",
		"http://h/x?token=%(ENV_T)s":        "",
		"":                                  "",
	} {
		from, to := saysSecret(text)
		if got := text[from:to]; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestCheckSecrets warns of secrets in every command and URL of a program, without their values, and not in patterns.
func TestCheckSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"[program:a]\ncommand=/bin/x --password=hunter2":                                                           "W155 3:16 a secret seems to stand in command",
		"[eventlistener:a]\nevents=TICK_5\ncommand=/bin/x --password=hunter2":                                      "W155 4:16 a secret seems to stand in command",
		"[program:a]\ncommand=/bin/x\npre_stop=/bin/x --password hunter2":                                          "W155 4:17 a secret seems to stand in pre_stop",
		"[program:a]\ncommand=/bin/x\ndrain_command=/bin/x\n  -token=hunter2":                                      "W155 5:3 a secret seems to stand in drain_command",
		"[program:a]\ncommand=/bin/x\nready=http://h:1/?x=1&token=hunter2":                                         "W155 4:23 a secret seems to stand in ready",
		"[program:a]\ncommand=/bin/x\nalive=exec:/bin/x --token=hunter2":                                           "W155 4:19 a secret seems to stand in alive",
		"[program:a]\ncommand=/bin/x\nready=log:token=hunter2":                                                     "",
		"[program:a]\ncommand=/bin/x\nready=http://h:1/?token=%(ENV_GREETING)s":                                    "",
		"[program:a]\ncommand=/bin/x --password=%(ENV_GREETING)s":                                                  "",
		"[program:a]\ncommand=/bin/x\nnumprocs=3\nprocess_name=%(process_num)d\npre_start=/bin/x --secret=hunter2": "W155 6:18 a secret seems to stand in pre_start",
	} {
		r := Check(fakeMachine(map[string]string{"/bin/x": "#!", "/etc/s.conf": "[supervisord]\n" + text + "\n"}), "/etc/s.conf")
		var got []string
		for _, f := range r.Findings {
			got = append(got, describeShort(f))
			if all := describe(f) + r.Line(f.File, f.Line); strings.Contains(all, "hunter2") {
				t.Errorf("%s: the secret is repeated: %s", text, all)
			}
		}
		if got := strings.Join(got, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", text, got, want)
		}
	}
}
