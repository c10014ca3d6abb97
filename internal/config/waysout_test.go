package config

import (
	"strings"
	"testing"
)

// TestCheckWaysOut: what a finding says of a way out can be written into the file as it stands there.
func TestCheckWaysOut(t *testing.T) {
	const share = "write a number of processes from 1, or a share such as 25%%"
	for text, want := range map[string]string{
		"pre_start=/bin/x 'a":              "a quote of pre_start never closes|close it",
		"drain_command=/bin/x \"a":         "a quote of drain_command never closes|close it",
		"environment=A='b":                 "a quote in the environment never closes|write KEY=value,KEY2=\"value 2\": quote values that hold blanks, commas or other special characters",
		"sockets=web,":                     "an empty name in the list of sockets|remove the comma too many",
		"sockets=,web":                     "an empty name in the list of sockets|remove the comma too many",
		"sockets=web other":                "unknown socket web other|write commas between the names: web,other",
		"depends_on=other;web":             "depends_on names unknown program or group other;web|write commas between the names: other,web",
		"depends_on=other web, other":      "depends_on names unknown program or group other web|write commas between the names: other,web",
		"sockets=wep":                      "unknown socket wep|did you mean web?",
		"sockets=other":                    "unknown socket other|define [socket:other], or remove the name",
		"depends_on=db,":                   "\"db,\" is not a value of depends_on|remove the comma too many",
		"environment_file=/etc/x, ,":       "\"/etc/x, ,\" is not a value of environment_file|remove the comma too many",
		"environment_file=-":               "\"-\" is not a value of environment_file|write paths with commas between",
		"stop_steps=TERM 5s,":              "\"TERM 5s,\" is not a value of stop_steps|remove the comma too many",
		"stop_steps=TERM:forever":          "\"TERM:forever\" is not a value of stop_steps|write TERM forever, with a blank between the signal and its time",
		"stop_steps=TERM=60s, KILL":        "\"TERM=60s, KILL\" is not a value of stop_steps|write TERM 60s, with a blank between the signal and its time",
		"stop_steps=SIGTERM: 2m":           "\"SIGTERM: 2m\" is not a value of stop_steps|write SIGTERM 2m, with a blank between the signal and its time",
		"stop_steps=TERM;KILL":             "\"TERM;KILL\" is not a value of stop_steps|write TERM 60s, KILL: a comma between the steps, and each with its time",
		"stop_steps=60s TERM":              "\"60s TERM\" is not a value of stop_steps|write TERM 60s: the signal comes first",
		"stop_steps=TERM 5s, 60s":          "\"TERM 5s, 60s\" is not a value of stop_steps|write the time behind its signal, with a blank and no comma: TERM 60s",
		"stop_steps=TERM 60s KILL":         "\"TERM 60s KILL\" is not a value of stop_steps|write a comma between the steps: TERM 60s, KILL",
		"stop_steps=TERM 60s INT 5s, KILL": "\"TERM 60s INT 5s, KILL\" is not a value of stop_steps|write a comma between the steps: TERM 60s, INT 5s",
		"stop_steps=TERM soon":             "\"TERM soon\" is not a value of stop_steps|write a time such as 60s or 2m, or forever: TERM 60s",
		"stop_steps=TRM 5s, KILL":          "\"TRM 5s, KILL\" is not a value of stop_steps|name a signal, such as TERM, INT or QUIT, and behind it the time that it has: TERM 60s, INT 30s, KILL",
		"stop_steps=forever":               "\"forever\" is not a value of stop_steps|write the time behind its signal, with a blank and no comma: TERM forever",
		"stop_steps=TERM:soon":             "\"TERM:soon\" is not a value of stop_steps|name a signal, such as TERM, INT or QUIT, and behind it the time that it has: TERM 60s, INT 30s, KILL",
		"startsecs=1s":                     "\"1s\" is not a value of startsecs|write the seconds alone: startsecs=1",
		"stopwaitsecs=2m":                  "\"2m\" is not a value of stopwaitsecs|write the seconds alone: stopwaitsecs=120",
		"stopwaitsecs=soon":                "\"soon\" is not a value of stopwaitsecs|give a whole number",
		"stopsignal=TERM,KILL":             "\"TERM,KILL\" is not a value of stopsignal|write one signal; stop_steps=TERM 10s, KILL takes several",
		"user=root:root":                   "\"root:root\" is no user of this machine|write the user alone; the group is the one that the user has",
		"user=":                            "\"\" is no user of this machine|remove the line, or name a user of this machine, or give its number",
		"autostart=":                       "\"\" is not a value of autostart|remove the line, or write true or false",
		"autostart=\"true\"":               "\"\"true\"\" is not a value of autostart|remove the quotes, which are part of the value: autostart=true",
		"stdout_logfile='/no/x'":           "the directory of \"'/no/x'\" does not exist|remove the quotes, which are part of the value: stdout_logfile=/no/x",
		"stdout_logfile_maxbytes=10M":      "\"10M\" is not a value of stdout_logfile_maxbytes|write stdout_logfile_maxbytes=10MB",
		"stderr_capture_maxbytes=2 gib":    "\"2 gib\" is not a value of stderr_capture_maxbytes|write stderr_capture_maxbytes=2GB",
		"process_name=%(program_name)":     "a percent sign in process_name does not start a %(name)s|write %(program_name)s: the s is missing; %% is a literal percent sign",
		"process_name=%(process_num)02":    "a percent sign in process_name does not start a %(name)s|write %(process_num)02d: the d is missing; %% is a literal percent sign",
		"directory=%(here)/x":              "a percent sign in directory does not start a %(name)s|write %(here)s: the s is missing; %% is a literal percent sign",
		"environment=A=\"100%\"":           "a percent sign in environment does not start a %(name)s|write %% for a literal percent sign",
		"roll_max_unavailable=0":           "\"0\" is not a value of roll_max_unavailable|" + share + "; or add roll_surge=1, so that another process takes the place of each",
		"roll_max_unavailable=many":        "\"many\" is not a value of roll_max_unavailable|" + share,
		"roll_surge=many":                  "\"many\" is not a value of roll_surge|write a number of processes, or a share such as 25%%",
		"roll_canary=-1":                   "\"-1\" is not a value of roll_canary|write a number of processes, or 0 for none that goes first",
		"memory_max=-1":                    "\"-1\" is not a value of memory_max|0 is no limit",
		"secret_files=A=/etc/there,":       "an empty name in the list of secret_files|remove the comma too many",
		"secret_files=hunter2":             "invalid 'secret_files' value: a part of it is no NAME=PATH|write NAME=/path/of/the/file, with commas between",
		"roll_max_unavailable=100%%":       "",
		"secret_files=":                    "",
		"sockets=":                         "",
		"stop_steps=TERM 5s, KILL":         "",
		"environment_file=-/etc/x,/bin":    "",
	} {
		m := fakeMachine(map[string]string{"/bin/x": "#!", "/etc/there": "", "/etc/s.conf": head + "[socket:web]\nlisten=tcp://h:1\n[program:other]\ncommand=/bin/x\nsockets=web\n[program:a]\ncommand=/bin/x\n" + text + "\n"})
		var got []string
		r := Check(m, "/etc/s.conf")
		for _, f := range r.Findings {
			if f.Severity == SeverityError {
				got = append(got, f.Title+"|"+f.Label)
				if line := r.Line(f.File, f.Line); f.Line != 9 || f.Col > len(line)+1 {
					t.Errorf("%s: at %+v of %q", text, f.Place, line)
				}
			}
		}
		if got := strings.Join(got, "\n"); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestCheckMeant: what is written in the wrong place, or in another form, is told where and how to write it.
func TestCheckMeant(t *testing.T) {
	for text, want := range map[string]string{
		"autorestart=true": "W101 2:1 unknown option \"autorestart\" in [supervisord]|it is an option of [program:x]; Supervisor ignores it here silently|",
		"colour=red":       "W101 2:1 unknown option \"colour\" in [supervisord]|Supervisor ignores this silently|",
		"[program:a]\ncommand=/bin/x\nprograms=b": "W101 4:1 unknown option \"programs\" in [program:a]|it is an option of [group:x]; Supervisor ignores it here silently|",
		"[program:a]\ncommand=/bin/x\n[program:b": "W101 4:1 unknown option \"[program\" in [program:a]|the bracket does not close: write [program:b]|",
		"[supervisorctl": "E104 2:1 this line is neither key=value nor [section]|the bracket does not close: write [supervisorctl]|",
		"[program:a]\ncommand=/bin/x\n[group:g]\nprograms=a b": "E114 5:10 [group:g] names unknown program or fcgi-program a b|write commas between the names: a,b|",
		"[nothing": "E104 2:1 this line is neither key=value nor [section]|write key=value, or indent the line to continue the value above it|",
		"[program:a]\ncommand=/bin/x\nstopsignal=TERM;soft":            "E111 4:12 \"TERM;soft\" is not a value of stopsignal|name a signal, such as TERM, INT, HUP, QUIT, KILL or USR1|if a comment begins at the ; write a blank before it",
		"[program:a]\ncommand=/bin/x\ndirectory=\"/tmp\"":              "W131 4:11 the quotes are part of the directory, which is not there: every start fails|remove the quotes|",
		"[inet_http_server]\nport=http://127.0.0.1:9001":               "E111 3:6 \"http://127.0.0.1\" is no host: the daemon does not start|write 127.0.0.1:9001 alone|",
		"[program:a b]\ncommand=/bin/x\n[program:c d]\ncommand=/bin/x": "E119 2:2 'a b' cannot be a name, it has a ' '|rename the section|\nE119 4:2 'c d' cannot be a name, it has a ' '|rename the section|",
	} {
		got := findingsAs(fakeMachine(map[string]string{"/bin/x": "#!", "/etc/s.conf": "[supervisord]\n" + text + "\n"}), func(f Finding) string { return withLabel(f) + "|" + strings.Join(f.Notes, "; ") })
		if got := strings.Join(got, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", text, got, want)
		}
	}
}
