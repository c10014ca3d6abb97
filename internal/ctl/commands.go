package ctl

// command describes one verb; lookup has what it does.
type command struct {
	name  string
	args  string // as gracectl's listing shows them
	brief string // one line for gracectl's listing
	help  string // the topic as Supervisor's client prints it
}

// commands is the table of verbs. The help texts are what Supervisor's client shows, tabs included, because screens and scripts know
// them (contract: ctl, "help"); briefs are gracectl's own.
var commands = []command{
	{
		name: "status", args: "[name ...]",
		brief: "show state, pid and uptime of processes",
		help: "status <name>\t\tGet status for a single process\n" +
			"status <gname>:*\tGet status for all processes in a group\n" +
			"status <name> <name>\tGet status for multiple named processes\n" +
			"status\t\t\tGet all process status info",
	},
	{
		name: "start", args: "<name ...|all>",
		brief: "start processes; group:* means a whole group",
		help: "start <name>\t\tStart a process\n" +
			"start <gname>:*\t\tStart all processes in a group\n" +
			"start <name> <name>\tStart multiple processes or groups\n" +
			"start all\t\tStart all processes",
	},
	{
		name: "stop", args: "<name ...|all>",
		brief: "stop processes",
		help: "stop <name>\t\tStop a process\n" +
			"stop <gname>:*\t\tStop all processes in a group\n" +
			"stop <name> <name>\tStop multiple processes or groups\n" +
			"stop all\t\tStop all processes",
	},
	{
		name: "restart", args: "<name ...|all>",
		brief: "stop, then start; configuration files are not read again",
		help: "restart <name>\t\tRestart a process\n" +
			"restart <gname>:*\tRestart all processes in a group\n" +
			"restart <name> <name>\tRestart multiple processes or groups\n" +
			"restart all\t\tRestart all processes\n" +
			"Note: restart does not reread config files. For that, see reread and update.",
	},
	{
		name: "signal", args: "<signal> <name ...|all>",
		brief: "send a signal, by name or number",
		help: "signal <signal name> <name>\t\tSignal a process\n" +
			"signal <signal name> <gname>:*\t\tSignal all processes in a group\n" +
			"signal <signal name> <name> <name>\tSignal multiple processes or groups\n" +
			"signal <signal name> all\t\tSignal all processes",
	},
	{
		name: "pid", args: "[name ...|all]",
		brief: "show the daemon's pid, or those of processes",
		help: "pid\t\t\tGet the PID of supervisord.\n" +
			"pid <name>\t\tGet the PID of a single child process by name.\n" +
			"pid all\t\t\tGet the PID of every child process, one per line.",
	},
	{
		name: "tail", args: "[-f|-N] <name> [stdout|stderr]",
		brief: "show the end of a process's log, or follow it",
		help: "tail [-f] <name> [stdout|stderr] (default stdout)\n" +
			"Ex:\n" +
			"tail -f <name>\t\tContinuous tail of named process stdout\n" +
			"\t\t\tCtrl-C to exit.\n" +
			"tail -100 <name>\tlast 100 *bytes* of process stdout\n" +
			"tail <name> stderr\tlast 1600 *bytes* of process stderr",
	},
	{
		name: "maintail", args: "[-f|-N]",
		brief: "the same for the daemon's own log",
		help: "maintail -f \tContinuous tail of supervisor main log file (Ctrl-C to exit)\n" +
			"maintail -100\tlast 100 *bytes* of supervisord main log file\n" +
			"maintail\tlast 1600 *bytes* of supervisor main log file\n",
	},
	{
		name: "fg", args: "<name>",
		brief: "see a process's output and type into its standard input",
		help: "fg <process>\tConnect to a process in foreground mode\n" +
			"\t\tCtrl-C to exit",
	},
	{
		name: "clear", args: "<name ...|all>",
		brief: "empty the logs of processes",
		help: "clear <name>\t\tClear a process' log files.\n" +
			"clear <name> <name>\tClear multiple process' log files\n" +
			"clear all\t\tClear all process' log files",
	},
	{
		name: "avail", brief: "list every configured process",
		help: "avail\t\t\tDisplay all configured processes",
	},
	{
		name: "reread", brief: "read the configuration files and show what differs; nothing is changed",
		help: "reread \t\t\tReload the daemon's configuration files without add/remove",
	},
	{
		name: "add", args: "<group ...>",
		brief: "activate groups that reread has found",
		help:  "add <name> [...]\tActivates any updates in config for process/group",
	},
	{
		name: "remove", args: "<group ...>",
		brief: "deactivate stopped groups",
		help:  "remove <name> [...]\tRemoves process/group from active config",
	},
	{
		name: "update", args: "[group ...|all]",
		brief: "make what runs what the files say; only what has to restarts",
		help: "update\t\t\tReload config and add/remove as necessary, and will restart affected programs\n" +
			"update all\t\tReload config and add/remove as necessary, and will restart affected programs\n" +
			"update <gname> [...]\tUpdate specific groups",
	},
	{
		name: "reload", brief: "restart the daemon with everything it runs",
		help: "reload \t\tRestart the remote supervisord.",
	},
	{
		name: "shutdown", brief: "stop everything and end the daemon",
		help: "shutdown \tShut the remote supervisord down.",
	},
	{
		name: "version", brief: "show the daemon's version",
		help: "version\t\t\tShow the version of the remote supervisord process",
	},
	{
		name: "open", args: "<url>",
		brief: "turn to another daemon",
		help: "open <url>\tConnect to a remote supervisord process.\n" +
			"\t\t(for UNIX domain socket, use unix:///socket/path)",
	},
	{
		name: "quit", brief: "leave the shell",
		help: "quit\tExit the supervisor shell.",
	},
	{
		name: "exit", brief: "leave the shell",
		help: "exit\tExit the supervisor shell.",
	},
}

// grace is the verb of the grace extension. It is listed in its own block (contract: ctl, "grace_update").
var grace = command{
	name: "grace_update", args: "<group>",
	brief: "apply a changed numprocs: start what is new, stop and remove what is surplus, touch nothing else",
	help:  "grace_update xxx\tgrace_update programe xxx",
}
