package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/graced/graced/internal/process"
)

// Option is one row of the option table: what an option of a configuration file is called, takes and does. The known options, the
// checker, `gracectl explain` and the reference page are made of it.
type Option struct {
	Sections []string      // the kinds of sections that have it, as in SectionKinds
	Name     string        // in lower case
	Type     string        // what a value looks like, in words
	Default  string        // what holds without it; "" = nothing; "required" = there is none
	Class    process.Class // what a change costs at least
	Since    string        // the version of Supervisor that brought it (its manual and changelog); "" = only graced has it
	Summary  string        // one sentence
}

// In reports whether sections of a kind have the option.
func (o Option) In(kind string) bool { return slices.Contains(o.Sections, kind) }

// Effect says in words when a change takes effect.
func (o Option) Effect() string {
	if o.In("supervisorctl") || o.In("ctlplugin") {
		return "with the next command of the client"
	}
	if o.In("include") || o.Name == "strict_config" {
		return "when the files are read again"
	}
	return [...]string{
		"live: the running process takes it over", "next start: the running process goes on, its next start uses it",
		"respawn: the process is replaced", "group: the group is replaced with all its processes",
		"identity: processes are added, removed or renamed", "daemon: the daemon has to restart",
	}[o.Class]
}

// Types of values, in words.
const (
	typeText   = "text"
	typeBool   = "true or false; also yes and no, on and off, 1 and 0"
	typeInt    = "whole number"
	typeSecs   = "whole number of seconds"
	typeCount  = "whole number; also auto or cores (one for each processor), cores-1, cores+2, 50% (of the processors)"
	typeBytes  = "bytes, or a number with KB, MB or GB"
	typeOctal  = "octal number"
	typePath   = "path"
	typeDir    = "directory"
	typeUser   = "user of this machine, by name or number"
	typeOwner  = "user or user:group"
	typeEnv    = `KEY="value",KEY2="value"`
	typeLog    = "path, AUTO, NONE (also off), or syslog"
	typeSignal = "signal, by name (with or without SIG) or number, RTMIN+n or RTMAX-n"
	typeSpan   = "duration, such as 500ms, 10s or 2m; a number without a unit counts seconds"
	typeTimes  = "whole number, 1 or more"
	typePython = "one of the built-in "
)

// SectionKinds are the kinds of sections that are read, in the order of the documentation. Kinds whose sections carry a name of their own,
// [program:x], come without it.
var SectionKinds = []string{"supervisord", "graced", "include", "unix_http_server", "inet_http_server", "supervisorctl", "program", "eventlistener",
	"fcgi-program", "group", "socket", "rpcinterface", "ctlplugin"}

var (
	inDaemon   = []string{"supervisord"}
	inGraced   = []string{"graced"}
	inInclude  = []string{"include"}
	inUnix     = []string{"unix_http_server"}
	inInet     = []string{"inet_http_server"}
	inServers  = []string{"unix_http_server", "inet_http_server"}
	inCtl      = []string{"supervisorctl"}
	inProgram  = []string{"program", "eventlistener", "fcgi-program"}
	inPlain    = []string{"program", "fcgi-program"}
	inListener = []string{"eventlistener"}
	inFCGI     = []string{"fcgi-program"}
	inGroup    = []string{"group"}
	inSocket   = []string{"socket"}
)

// Options is the option table, in the order of SectionKinds.
var Options = []Option{
	{inDaemon, "logfile", "path, or syslog", "supervisord.log", process.DaemonClass, "3.0", "The main log of the daemon."},
	{inDaemon, "logfile_maxbytes", typeBytes, "50MB", process.DaemonClass, "3.0", "The size at which the main log is rotated; 0 never rotates it."},
	{inDaemon, "logfile_backups", typeInt, "10", process.DaemonClass, "3.0", "How many rotated main logs are kept."},
	{inDaemon, "loglevel", "critical, error, warn, info, debug, trace or blather", "info", process.DaemonClass, "3.0", "How much the main log tells; from debug on also what programs write."},
	{inDaemon, "pidfile", typePath, "supervisord.pid", process.DaemonClass, "3.0", "Where the daemon writes its process id."},
	{inDaemon, "umask", typeOctal, "022", process.DaemonClass, "3.0", "The umask of a daemon in the background."},
	{inDaemon, "directory", typeDir, "", process.DaemonClass, "3.0", "The directory that a daemon in the background changes to."},
	{inDaemon, "nodaemon", typeBool, "false", process.DaemonClass, "3.0", "Whether the daemon stays in the foreground."},
	{inDaemon, "silent", typeBool, "false", process.DaemonClass, "4.2.0", "Whether a daemon in the foreground keeps its log from standard output."},
	{inDaemon, "minfds", typeInt, "1024", process.DaemonClass, "3.0", "How many open files the daemon must at least be allowed; the limit is raised where it is lower."},
	{inDaemon, "minprocs", typeInt, "200", process.DaemonClass, "3.0", "How many processes the daemon's user must at least be allowed; the limit is raised where it is lower."},
	{inDaemon, "nocleanup", typeBool, "false", process.DaemonClass, "3.0", "Whether AUTO logs of earlier runs are kept at the start."},
	{inDaemon, "strip_ansi", typeBool, "false", process.DaemonClass, "3.0", "Whether escape sequences of terminals are removed from the logs of programs."},
	{inDaemon, "childlogdir", typeDir, "the directory of temporary files", process.DaemonClass, "3.0", "Where the AUTO logs of programs are."},
	{inDaemon, "user", typeUser, "", process.DaemonClass, "3.0", "The account that a daemon started by root changes to."},
	{inDaemon, "identifier", typeText, "supervisor", process.DaemonClass, "3.0", "The name of this daemon, for clients, events and AUTO logs."},
	{inDaemon, "environment", typeEnv, "", process.Respawn, "3.0", "Variables for the environment of every program; a program's own win."},

	{inGraced, "stop_order", "descending or ascending", "descending", process.DaemonClass, "", "The order of priorities in which several processes are stopped."},
	{inGraced, "sigpipe", "ignore or default", "ignore", process.DaemonClass, "", "What programs start with for SIGPIPE."},
	{inGraced, "update", "supervisor or minimal", "supervisor", process.DaemonClass, "", "Whether supervisorctl update restarts whole groups or only what has to restart."},
	{inGraced, "statedir", "path, or none", "", process.DaemonClass, "", "The directory for what holds besides the files; without it one beside the main log."},
	{inGraced, "cgroup", "auto, off or a directory", "auto", process.DaemonClass, "", "Below which control group those of processes are made; auto is the daemon's own, off makes none."},
	{inGraced, "strict_config", typeBool, "false", process.DaemonClass, "", "Whether sections and options that nothing reads keep the files from being loaded."},
	{inGraced, "quirks", "names with commas between: " + strings.Join(slices.Sorted(maps.Keys((&Quirks{}).flags())), ", "), "", process.DaemonClass, "", "Behaviours of Supervisor to keep where graced has a better one."},

	{inInclude, "files", "patterns with blanks between", "required", process.Live, "3.0", "The files that are read after the main file."},

	{inUnix, "file", typePath, "required", process.DaemonClass, "3.0", "The path of the socket."},
	{inUnix, "chmod", typeOctal, "0700", process.DaemonClass, "3.0", "The mode of the socket: who may write to it may control every program."},
	{inUnix, "chown", typeOwner, "who starts the daemon", process.DaemonClass, "3.0", "The owner and group of the socket."},
	{inInet, "port", "port, host:port or *:port", "required", process.DaemonClass, "3.0", "The address to listen at; without a host, every IPv4 address of the machine."},
	{inServers, "username", typeText, "", process.DaemonClass, "3.0", "The name that clients have to give; without it everybody may ask."},
	{inServers, "password", "text, or {SHA} and 40 hex digits", "", process.DaemonClass, "3.0", "The password that clients have to give."},

	{inCtl, "serverurl", "http://host:port or unix:///path", DefaultServerURL, process.Live, "3.0", "Where the client finds the daemon."},
	{inCtl, "username", typeText, "", process.Live, "3.0", "The name that the client gives."},
	{inCtl, "password", typeText, "", process.Live, "3.0", "The password that the client gives, in clear."},
	{inCtl, "prompt", typeText, "supervisor", process.Live, "3.0", "What the client's shell shows before the cursor."},
	{inCtl, "history_file", typePath, "", process.Live, "3.0a5", "Where the client's shell keeps the lines that were typed."},

	{inProgram, "command", "words as in a shell, no shell", "required", process.Respawn, "3.0", "The program and its arguments; it must stay in the foreground."},
	{inProgram, "process_name", "text with %(program_name)s, %(process_num)d, %(group_name)s, %(host_node_name)s, %(numprocs)d, %(here)s or %(ENV_X)s", "%(program_name)s", process.Identity, "3.0", "The name of each process; from two processes on it needs %(process_num)."},
	{inProgram, "numprocs", typeCount, "1", process.Identity, "3.0", "How many processes of the program there are."},
	{inProgram, "numprocs_start", typeInt, "0", process.Identity, "3.0", "The number of the first process."},
	{inPlain, "priority", typeInt, "999", process.Live, "3.0", "Lower starts earlier and stops later."},
	{inListener, "priority", typeInt, "-1 for the pool, 999 for its processes", process.Live, "3.0", "Lower starts earlier and stops later; listeners come before programs."},
	{inProgram, "autostart", typeBool, "true", process.NextStart, "3.0", "Whether processes start with the daemon and when they are added."},
	{inProgram, "autorestart", "unexpected, true (also yes, on, 1) or false (also no, off, 0)", "unexpected", process.Live, "3.0", "Whether a process that ended starts again; unexpected: unless its exit code is one of exitcodes."},
	{inProgram, "startsecs", typeSecs, "1", process.NextStart, "3.0", "How long a process must stay up for its start to count as successful."},
	{inProgram, "startretries", typeInt, "3", process.Live, "3.0", "How many failed starts in a row it takes to give up: FATAL; with backoff -1 never gives up."},
	{inProgram, "backoff", "one pause, such as 5s, or the first and the longest, such as 1s..30s; then a factor, such as x2, and a share by which each may be longer, such as jitter=0.2", "", process.Live, "", "How long a process that failed to start, or that ended soon after, waits before it is started again; 0 is as under Supervisor."},
	{inProgram, "restart_limit", "number/time, such as 5/60s", "", process.Live, "", "How often a process may be started again by itself within a time; one more, and it is given up: FATAL. 0 is no limit."},
	{inProgram, "breaker", "number/time, such as 3/10s", "", process.Live, "", "After so many unexpected ends in the whole group within a time its restarts wait until one process is RUNNING; of several programs in a group the least number counts. 0 is none."},
	{inProgram, "depends_on", "names of programs or groups, or group:process, with commas between; each may be followed by :ready, :started or :completed", "", process.Live, "", "What has to be there before the program starts: ready (the default), RUNNING, or ended with an expected exit code. Stops go in the reverse order."},
	{inProgram, "essential", "true or on_exit, on_fatal, or false", "false", process.Live, "", "Whether the daemon stops everything and ends with the program's exit code when the program has ended and is not started again (on_exit), or is given up (on_fatal)."},
	{inProgram, "exitcodes", "numbers from 0 to 255 with commas between", "0", process.Live, "3.0", "The exit codes that are expected."},
	{inProgram, "stopsignal", typeSignal, "TERM", process.Live, "3.0", "The signal that asks a process to end."},
	{inProgram, "stopwaitsecs", typeSecs, "10", process.Live, "3.0", "How long to wait for the process to end after stopsignal before SIGKILL."},
	{inProgram, "stop_steps", "SIGNAL TIME, ..., KILL", "stopsignal stopwaitsecs, KILL", process.Live, "", "The signals of a stop, each with the time to obey it, such as TERM 60s, INT 30s, KILL; forever, or no KILL at the end, waits as long as it takes."},
	{inPlain, "drain_signal", typeSignal, "", process.Live, "", "The signal that tells a process, before its stop begins, to finish what it does; it has drain_timeout for that."},
	{inPlain, "drain_command", "words as in a shell, no shell", "", process.Live, "", "A command that has a process finish what it does before its stop begins: the stop goes on when it has ended."},
	{inPlain, "drain_timeout", typeSpan + "; or forever", "30s", process.Live, "", "How long drain_signal or drain_command may take before the stop goes on; forever: as long as it takes."},
	{inPlain, "reload_signal", typeSignal, "", process.Live, "", "The signal that has a process read its own configuration again: gracectl refresh."},
	{inPlain, "reload_command", "words as in a shell, no shell", "", process.Live, "", "The command that gracectl refresh runs instead."},
	{inPlain, "reload_timeout", typeSpan, "30s", process.Live, "", "How long reload_command may take before it is killed."},
	{inPlain, "pre_start", "words as in a shell, no shell", "", process.Live, "", "A command that runs before each start of a process."},
	{inPlain, "pre_start_timeout", typeSpan, "30s", process.Live, "", "How long pre_start may take before it is killed, and counts as failed."},
	{inPlain, "pre_start_on_failure", "fail or ignore", "fail", process.Live, "", "What follows when pre_start fails: the start has failed as well, or nothing."},
	{inPlain, "post_ready", "words as in a shell, no shell", "", process.Live, "", "A command that runs once in the life of a process, when it is RUNNING and ready."},
	{inPlain, "post_ready_timeout", typeSpan, "30s", process.Live, "", "How long post_ready may take before it is killed."},
	{inPlain, "post_ready_on_failure", "ignore or fail", "ignore", process.Live, "", "What follows when post_ready fails: nothing, or the process is not ready in this life, and a release that it is part of has failed; it is not ready before post_ready has succeeded either."},
	{inPlain, "pre_stop", "words as in a shell, no shell", "", process.Live, "", "A command that runs before anything else of a stop; the stop goes on when it has ended."},
	{inPlain, "pre_stop_timeout", typeSpan, "30s", process.Live, "", "How long pre_stop may take before it is killed, and the stop goes on."},
	{inPlain, "post_stop", "words as in a shell, no shell", "", process.Live, "", "A command that runs after each end of a process, however it came; the process does not start again before it has ended."},
	{inPlain, "post_stop_timeout", typeSpan, "30s", process.Live, "", "How long post_stop may take before it is killed."},
	{inProgram, "stopasgroup", typeBool, "false", process.Live, "3.0b1", "Whether stopsignal goes to the whole process group; implies killasgroup."},
	{inProgram, "killasgroup", typeBool, "the value of stopasgroup", process.Live, "3.0a11", "Whether SIGKILL goes to the whole process group."},
	{inProgram, "stop_tree", typeBool, "false", process.Respawn, "", "Whether stopsignal goes to everything that the process has started, and the stop waits for all of it."},
	{inProgram, "kill_tree", typeBool, "the value of stop_tree", process.Respawn, "", "Whether SIGKILL goes to everything that the process has started, and nothing of it stays at its end."},
	{inProgram, "cgroup", "auto, on or off", "auto", process.Respawn, "", "Whether each process has a control group of its own; auto: if stop_tree, kill_tree or a limit needs one."},
	{inProgram, "memory_max", typeBytes, "", process.Respawn, "", "How much memory a process and all that it starts may use; 0 is no limit."},
	{inProgram, "cpu_max", "number of processors, such as 0.5", "", process.Respawn, "", "How much of the processors a process and all that it starts may use; 0 is no limit."},
	{inProgram, "pids_max", typeInt, "", process.Respawn, "", "How many processes and threads a process may become with all that it starts; 0 is no limit."},
	{inPlain, "ready", "tcp://host:port, http://host:port/path, exec:COMMAND, log:PATTERN or notify", "", process.Live, "", "How it is found out whether a process that is RUNNING is ready; without it every one is."},
	{inPlain, "ready_period", typeSpan, "1s", process.Live, "", "The time from one try of ready to the next; until the process is ready for the first time they begin closer together."},
	{inPlain, "ready_timeout", typeSpan, "5s", process.Live, "", "How long one try of ready may take."},
	{inPlain, "ready_successes", typeTimes, "1", process.Live, "", "How many good tries in a row make a process ready."},
	{inPlain, "ready_failures", typeTimes, "3", process.Live, "", "How many bad tries in a row make a process not ready any more."},
	{inPlain, "ready_wait", typeSpan, "60s", process.Live, "", "How long a process that is RUNNING may take to become ready, where something waits for that."},
	{inPlain, "alive", "tcp://host:port, http://host:port/path, exec:COMMAND or notify", "", process.Live, "", "How it is found out whether a process still does its work."},
	{inPlain, "alive_period", typeSpan, "10s", process.Live, "", "The time from one try of alive to the next, and at least that passes before the first."},
	{inPlain, "alive_timeout", typeSpan, "5s", process.Live, "", "How long one try of alive may take; with notify, the longest time between two signs of life."},
	{inPlain, "alive_failures", typeTimes, "3", process.Live, "", "How many bad tries in a row it takes; with notify, one."},
	{inPlain, "alive_action", "restart, stop or none", "restart", process.Live, "", "What happens to a process that is not alive; none only tells it."},
	{inPlain, "roll_max_unavailable", "number of processes, or a share such as 25%%; from 1, or with roll_surge from 0", "1", process.Live, "", "How many processes of a group may be out of work at a time while they are replaced."},
	{inPlain, "roll_surge", "number of processes, or a share such as 25%%", "0", process.Live, "", "How many extra processes are started first, with the new settings, and take the place of others while these are replaced."},
	{inPlain, "roll_canary", typeInt, "0", process.Live, "", "How many processes are replaced first and have to prove themselves before the others follow."},
	{inPlain, "roll_steady", typeSpan, "0s", process.Live, "", "How long a new process has to stay ready before the next is replaced."},
	{inPlain, "roll_on_failure", "rollback, pause or stop", "rollback", process.Live, "", "What follows when a new process does not become ready, or does not stay so."},
	{inProgram, "user", typeUser, "the daemon's", process.Respawn, "3.0", "The account that the processes run as; only root can change it."},
	{inProgram, "umask", typeOctal, "the daemon's", process.Respawn, "3.0", "The umask of the processes."},
	{inProgram, "directory", typeDir, "the daemon's", process.Respawn, "3.0", "The working directory of the processes."},
	{inPlain, "redirect_stderr", typeBool, "false", process.Respawn, "3.0", "Whether standard error goes where standard output goes."},
	{inListener, "redirect_stderr", "false", "false", process.Respawn, "3.0", "Not for event listeners: their standard output speaks to the daemon."},
	{inProgram, "environment", typeEnv, "", process.Respawn, "3.0", "Variables that the processes get besides those of the daemon."},
	{inProgram, "environment_file", "paths with commas between, each with - before it if it may be missing", "", process.Respawn, "", "Files with lines KEY=VALUE that are read at each start; what environment sets wins."},
	{inProgram, "secret_files", "NAME=path with commas between", "", process.Respawn, "", "Variables whose values are the contents of files, read at each start and shown nowhere; they win over all others of these names."},
	{inPlain, "sockets", "names of [socket:x] sections with commas between", "", process.Respawn, "", "The sockets that each process gets as its descriptors 3, 4 and so on; all that name one share it."},
	{inProgram, "serverurl", "AUTO or a URL", "AUTO", process.Respawn, "3.0", "What the processes find in SUPERVISOR_SERVER_URL; AUTO is the daemon's own address."},
	{inProgram, "stdout_logfile", typeLog, "AUTO", process.Live, "3.0", "Where standard output is logged."},
	{inProgram, "stdout_logfile_maxbytes", typeBytes, "50MB", process.Live, "3.0", "The size at which the log of standard output is rotated; 0 never rotates it."},
	{inProgram, "stdout_logfile_backups", typeInt, "10", process.Live, "3.0", "How many rotated logs of standard output are kept."},
	{inProgram, "stdout_capture_maxbytes", typeBytes, "0", process.Live, "3.0", "How much of what stands between capture marks on standard output is told as one event; 0 turns it off."},
	{inProgram, "stdout_events_enabled", typeBool, "false", process.Live, "3.0a7", "Whether what is written to standard output is told to event listeners."},
	{inProgram, "stdout_syslog", typeBool, "false", process.Live, "4.0.0", "Whether lines of standard output go to syslog as well."},
	{inProgram, "stderr_logfile", typeLog, "AUTO", process.Live, "3.0", "Where standard error is logged."},
	{inProgram, "stderr_logfile_maxbytes", typeBytes, "50MB", process.Live, "3.0", "The size at which the log of standard error is rotated; 0 never rotates it."},
	{inProgram, "stderr_logfile_backups", typeInt, "10", process.Live, "3.0", "How many rotated logs of standard error are kept."},
	{inProgram, "stderr_capture_maxbytes", typeBytes, "0", process.Live, "3.0", "How much of what stands between capture marks on standard error is told as one event; 0 turns it off."},
	{inProgram, "stderr_events_enabled", typeBool, "false", process.Live, "3.0a7", "Whether what is written to standard error is told to event listeners."},
	{inProgram, "stderr_syslog", typeBool, "false", process.Live, "4.0.0", "Whether lines of standard error go to syslog as well."},

	{inListener, "events", "names of event types with commas between, such as PROCESS_STATE or TICK_60; EVENT is all of them", "required", process.Live, "3.0", "The events that the listeners want to hear of."},
	{inListener, "buffer_size", typeInt + ", 1 or more", "10", process.Live, "3.0", "How many events wait for a listener before the oldest is dropped."},
	{inListener, "result_handler", typePython + strings.Join(process.ResultHandlers, ", "), process.ResultHandlerDefault, process.GroupWide, "3.0a4", "What judges the answer of a listener."},
	{inListener, "payload_length", "characters or bytes", "characters", process.GroupWide, "", "What the len of an event's header counts."},

	{inFCGI, "socket", "tcp://host:port or unix:///path", "required", process.GroupWide, "3.0a7", "The listening socket that the processes share as their standard input."},
	{inFCGI, "socket_backlog", typeInt + " from 1 to 65535", "what the system takes", process.GroupWide, "3.4.0", "How many connections may wait in the socket."},
	{inFCGI, "socket_owner", typeOwner, "user and its group", process.GroupWide, "3.0a8", "The owner of a unix socket."},
	{inFCGI, "socket_mode", typeOctal, "0700", process.GroupWide, "3.0a8", "The mode of a unix socket."},

	{inGroup, "programs", "names of programs with commas between", "", process.Identity, "3.0", "The members of the group; they form no group of their own then."},
	{inGroup, "priority", typeInt, "999", process.Live, "3.0", "Lower starts earlier and stops later."},

	{inSocket, "listen", "tcp://host:port or unix:///path", "required", process.Respawn, "", "Where the socket listens."},
	{inSocket, "backlog", typeInt + " from 1 to 65535", "what the system takes", process.Respawn, "", "How many connections may wait in the socket."},
	{inSocket, "owner", typeOwner, "the daemon's", process.Respawn, "", "The owner of a unix socket."},
	{inSocket, "mode", typeOctal, "0700", process.Respawn, "", "The mode of a unix socket."},

	{[]string{"rpcinterface"}, rpcFactoryKey, typePython + strings.Join(rpcFactories, ", "), "required", process.DaemonClass, "3.0", "Which methods clients find under the name of the section."},
	{[]string{"ctlplugin"}, ctlFactoryKey, typePython + strings.Join(ctlFactories, ", "), "required", process.Live, "3.0", "Which verbs the client has besides its own."},
}

// OptionsNamed returns the rows of an option: "stopwaitsecs", or "program.stopwaitsecs" for one kind of section. The name may have any case.
func OptionsNamed(word string) []Option {
	word = lower(strip(word))
	var out []Option
	for _, o := range Options {
		for _, kind := range append([]string{""}, o.Sections...) {
			if kind == "" && word == o.Name || kind != "" && word == kind+"."+o.Name {
				out = append(out, o)
				break
			}
		}
	}
	return out
}

// NearestOption returns the option that a mistyped word was most likely meant to be, in the form in which it was written, or "".
func NearestOption(word string) string {
	word = lower(strip(word))
	kind, name, dotted := strings.Cut(word, ".")
	if i := slices.Index(SectionKinds, kind); !dotted || i < 0 {
		var all []string
		for _, o := range Options {
			all = append(all, o.Name)
		}
		return nearest(word, all)
	}
	if near := nearest(name, optionNames(kind)); near != "" {
		return kind + "." + near
	}
	return ""
}

// optionNames returns the names of the options of a kind of section.
func optionNames(kind string) []string {
	var out []string
	for _, o := range Options {
		if o.In(kind) {
			out = append(out, o.Name)
		}
	}
	return out
}
