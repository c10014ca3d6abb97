package config

import (
	"strings"
	"testing"
)

// TestCheckSecrets warns of secrets in every command and URL of a program, without their values, and not in patterns.
func TestCheckSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"[program:a]\ncommand=/bin/x --password=hunter2":                                                           "W155 3:16 a secret seems to stand in command",
		"[eventlistener:a]\nevents=TICK_5\ncommand=/bin/x --password=hunter2":                                      "W155 4:16 a secret seems to stand in command",
		"[program:a]\ncommand=/bin/x\npre_stop=/bin/x --password hunter2":                                          "W155 4:17 a secret seems to stand in pre_stop",
		"[program:a]\ncommand=/bin/x\ndrain_command=/bin/x\n  -token=hunter2":                                      "W155 5:3 a secret seems to stand in drain_command",
		"[program:a]\ncommand=/bin/x\nready=http://h:1/?x=1&token=hunter2":                                         "W155 4:23 a secret seems to stand in ready",
		"[program:a]\ncommand=/bin/x\nalive=exec:/bin/x --token=hunter2":                                           "W155 4:19 a secret seems to stand in alive",
		"[program:a]\ncommand=/bin/x postgres://u:hunter2@h/db":                                                    "W155 3:29 a secret seems to stand in command",
		"[program:a]\ncommand=/bin/x --u=redis://:hunter2@h":                                                       "W155 3:29 a secret seems to stand in command",
		"[program:a]\ncommand=/bin/x\nalive=exec:/bin/x -H 'Authorization: Bearer hunter2'":                        "W155 4:23 a secret seems to stand in alive",
		"[program:a]\ncommand=/bin/x\nready=http://h:1/?page_token=a&x=1":                                          "",
		"[program:a]\ncommand=/bin/x http://h:80/ u@h http://u:%(ENV_GREETING)s@h":                                 "",
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
