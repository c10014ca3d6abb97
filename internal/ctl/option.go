package ctl

import "slices"

// optionInfo describes an option of gracectl. The usage text, the man page, completion and the reading of options come from these tables.
type optionInfo struct {
	short string   // "o"; "" = none
	long  string   // "output"
	arg   string   // what it takes, "" = nothing
	brief string   // one line
	verbs []string // of an option of verbs: those that have it; nil = each that answers
}

// generalOptions stand before the verb.
var generalOptions = []optionInfo{
	{short: "c", long: "configuration", arg: "FILE", brief: "configuration file (searched in the usual places if not given)"},
	{short: "s", long: "serverurl", arg: "URL", brief: "the daemon: http://host:port or unix:///path/of/socket (default: from the file, else http://localhost:9001)"},
	{short: "u", long: "username", arg: "NAME", brief: "name for the daemon; it wins over the one in the file"},
	{short: "p", long: "password", arg: "PASSWORD", brief: "password for the daemon"},
	{short: "i", long: "interactive", brief: "ask for credentials, and before shutdown and reload"},
	{short: "r", long: "history-file", arg: "FILE", brief: "keep the shell's history here"},
	{short: "h", long: "help", brief: "this text"},
}

// rollVerbs are those that replace processes one after the other.
var rollVerbs = []string{"plan", "update", "restart", "rollback", "undo"}

// verbOptions stand before or behind the words of a verb; the first three also before the verb.
var verbOptions = []optionInfo{
	{short: "o", long: "output", arg: "FORM", brief: "json, jsonl, yaml or name; plain: exactly what supervisorctl prints"},
	{long: "timeout", arg: "DURATION", brief: "wait no longer than this (30, 1m30s); what has begun goes on, exit 12"},
	{long: "parallel", arg: "N", brief: "N processes at a time; 1: one after the other", verbs: []string{"start", "stop", "restart", "signal", "clear", "refresh"}},
	{long: "state", arg: "STATE,...", brief: "of the processes named, or of all, those in one of these states",
		verbs: []string{"status", "start", "stop", "restart", "signal", "pid", "clear", "refresh"}},
	{long: "exit-code", brief: "exit 3 when a process that is shown is not running", verbs: []string{"status"}},
	{long: "exit-code", brief: "exit 2 when there is something to do", verbs: []string{"plan"}},
	{short: "f", long: "file", arg: "FILE", brief: "compare another file with what runs", verbs: []string{"plan"}},
	{long: "since", arg: "rN", brief: "compare a generation of history with the files, in place of what runs", verbs: []string{"plan"}},
	{long: "diff", brief: "show the settings that change as a diff", verbs: []string{"plan"}},
	{long: "watch", brief: "plan again whenever a file changes, until Ctrl-C", verbs: []string{"plan"}},
	{long: "plan", arg: "ID", brief: "do what this plan showed, or nothing", verbs: []string{"update"}},
	{long: "dry-run", brief: "show what would be done", verbs: []string{"update", "scale", "rollback", "undo", "start", "stop", "restart", "signal", "clear", "hold", "disable", "enable",
		"add", "remove", "grace_update", "reload", "shutdown", "check"}},
	{short: "y", long: "yes", brief: "ask nothing", verbs: []string{"update", "scale", "rollback", "undo"}},
	{long: "victim", arg: "WHO", brief: "who leaves first: highest (number), oldest, newest", verbs: []string{"scale"}},
	{long: "lazy", brief: "surplus is not stopped: it leaves when it ends by itself", verbs: []string{"scale"}},
	{long: "ready", brief: "wait until processes are RUNNING and, where they have a check, found ready; exit 1 when one does not run and nothing starts it", verbs: []string{"wait"}},
	{long: "now", brief: "SIGKILL at once, also to what somebody else is stopping", verbs: []string{"stop", "restart"}},
	{long: "rolling", brief: "replace those that run one after the other; each has to be ready before the next", verbs: []string{"restart"}},
	{long: "max-unavailable", arg: "N|N%", brief: "so many may be out of work at a time (default: roll_max_unavailable)", verbs: rollVerbs},
	{long: "canary", arg: "N", brief: "replace so many first, and wait until they are good", verbs: rollVerbs},
	{long: "steady", arg: "DURATION", brief: "a new process has to stay ready for so long (10s, 1m30s)", verbs: rollVerbs},
	{long: "on-failure", arg: "WHAT", brief: "when one does not become ready: rollback, pause or stop", verbs: rollVerbs},
	{long: "note", arg: "TEXT", brief: "say why, for those who look at it later", verbs: []string{"hold", "disable", "enable"}},
	{long: "all", brief: "also what was done before this daemon began", verbs: []string{"ops"}},
	{long: "write", brief: "write the number into the file", verbs: []string{"scale"}},
	{long: "force", brief: "write also into a file whose mode lets nobody write", verbs: []string{"scale", "check"}},
	{long: "fix", brief: "correct what needs no human, and check again", verbs: []string{"check"}},
	{long: "strict", brief: "options and sections that nothing reads are errors", verbs: []string{"check"}},
	{long: "env", arg: "FILE|NAME=VALUE", brief: "what else is in the environment of the daemon", verbs: []string{"check"}},
}

// optionsOf lists the options that a verb takes.
func optionsOf(verb string) []optionInfo {
	var out []optionInfo
	for _, o := range verbOptions {
		if o.verbs == nil && answered[verb] != nil || slices.Contains(o.verbs, verb) {
			out = append(out, o)
		}
	}
	return out
}

// spelling is how an option is written in usage texts: "-o, --output FORM".
func (o optionInfo) spelling() string {
	text := "    --" + o.long
	if o.short != "" {
		text = "-" + o.short + ", --" + o.long
	}
	if o.arg != "" {
		text += " " + o.arg
	}
	return text
}
