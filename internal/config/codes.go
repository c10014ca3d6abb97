package config

// Kind is what a code stands for, whatever its severity: E115 and W115 are one kind.
type Kind struct {
	Number string // three digits
	Text   string
}

// Kinds lists what Check can find, by number.
var Kinds = []Kind{
	{"100", "a file cannot be read"},
	{"101", "an option that nothing reads"},
	{"102", "a section that nothing reads"},
	{"103", "no [supervisord], or a [supervisorctl] where clients do not look"},
	{"104", "a line that is neither key=value nor [section]"},
	{"105", "a file that is not UTF-8"},
	{"110", "a value that is none of the words an option takes"},
	{"111", "no number, size, boolean, signal or address"},
	{"112", "processes that would have one name"},
	{"113", "a required option is missing"},
	{"114", "a group names a program that is not there, or a program a socket"},
	{"115", "a %(name)s that cannot be expanded"},
	{"116", "no such user or group"},
	{"117", "a umask or priority out of range"},
	{"118", "quotes that never close, or an environment that is no list of KEY=value"},
	{"119", "a name with a character that names cannot have"},
	{"121", "an inline comment that cuts a value inside quotes"},
	{"122", "a key before any section"},
	{"123", "an indented option or header that is part of the value before it"},
	{"125", "an environment that only Supervisor before 4.4 can read"},
	{"126", "text after a value of an environment, which is ignored"},
	{"127", "an environment that Supervisor before 4.4 reads differently"},
	{"130", "a command that cannot be started"},
	{"131", "a directory that is not there"},
	{"132", "a log that cannot be written, or that two outputs rotate"},
	{"133", "an include pattern that matches nothing"},
	{"134", "an included file that cannot be read"},
	{"136", "a file of environment_file or secret_files that is not there"},
	{"137", "a path that is too long for a socket"},
	{"140", "a section that is defined more than once"},
	{"141", "an option that is set twice"},
	{"142", "two groups of one name"},
	{"143", "members that start in another order than under Supervisor"},
	{"144", "a FastCGI program in a group, without a socket"},
	{"145", "two sockets, or servers, with one address"},
	{"146", "a pids_max that is too little for a process with sockets"},
	{"147", "a socket that no program names"},
	{"148", "a roll_max_unavailable, roll_surge or roll_canary of more processes than there are"},
	{"149", "a number below 0, which is as good as another, or a time of 0, with which nothing happens"},
	{"150", "a server that other machines can reach without a password"},
	{"151", "a password that every user can read"},
	{"152", "the mode of a socket: no octal number, or open to every user"},
	{"153", "a user name without a password, or the other way round"},
	{"154", "more processes of a program than a machine is likely to carry"},
	{"155", "a secret in a command or a URL, where everybody sees it"},
	{"156", "a number that is too large or too small to be meant"},
	{"157", "a command or an environment that is written for a shell"},
	{"158", "a serverurl at which no server of these files listens"},
	{"160", "a stop that may take longer than systemd lets the daemon stop"},
	{"161", "startsecs=0 with autorestart, without ready or restart_limit"},
	{"162", "stopasgroup=true with killasgroup=false"},
	{"163", "a stopsignal that stops nothing"},
	{"164", "a log file called syslog"},
	{"165", "an AUTO log that is never rotated"},
	{"166", "a stderr_logfile besides redirect_stderr"},
	{"167", "a negative startretries without backoff"},
	{"168", "a breaker with startsecs=0"},
	{"169", "a signal and a command for the same: drain_signal and drain_command, or those of reload"},
	{"170", "an event that does not exist"},
	{"171", "an event listener that is not restarted"},
	{"172", "a Python plugin or handler that is not built in"},
	{"173", "an event listener with redirect_stderr"},
	{"174", "an event listener with a check of readiness or liveness"},
	{"180", "programs that depend on one another in a circle"},
	{"181", "a dependency on something that is not there"},
	{"182", "a dependency on the completion of a program that is always started again"},
	{"183", "a dependency on a program that nobody starts"},
}

// KindOf returns the kind of a code; the zero Kind if there is none.
func KindOf(code Code) Kind {
	for _, k := range Kinds {
		if len(code) > 1 && k.Number == string(code[1:]) {
			return k
		}
	}
	return Kind{}
}
