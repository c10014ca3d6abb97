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
				if line := r.Line(f.File, f.Line); f.Line != 9 || f.Col > len(line) {
					t.Errorf("%s: at %+v of %q", text, f.Place, line)
				}
			}
		}
		if got := strings.Join(got, "\n"); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
