package main

import "strings"

// helpText is what -h prints: the options of supervisord, in our words.
func helpText(argv0 string) string {
	text := `{name}: run a set of programs as daemons.

Usage: {name} [options]

-c/--configuration FILE     the configuration file (searched in default places without it)
-n/--nodaemon               stay in the foreground (same as 'nodaemon=true' in the file)
-s/--silent                 no copy of the log on standard output (same as 'silent=true')
-h/--help                   print this text and exit
-v/--version                print the version of Supervisor whose contract is kept, and exit
-u/--user USER              run as this user (or numeric uid)
-m/--umask UMASK            umask of a daemon in the background (default 022)
-d/--directory DIRECTORY    directory to change to when going to the background
-l/--logfile FILENAME       the main log
-y/--logfile_maxbytes BYTES size at which the main log is rotated
-z/--logfile_backups NUM    how many rotated main logs are kept
-e/--loglevel LEVEL         level of the main log (critical, error, warn, info, debug, trace, blather)
-j/--pidfile FILENAME       where the process id is written
-i/--identifier STR         name of this instance
-q/--childlogdir DIRECTORY  directory of the AUTO logs of programs
-k/--nocleanup              keep the AUTO logs of earlier runs
-a/--minfds NUM             least number of open files that must be allowed
--minprocs NUM              least number of processes that must be allowed
-t/--strip_ansi             remove terminal escape sequences from logs
--profile_options OPTIONS   accepted for old start scripts, without effect
`
	if called(argv0) == "graced" {
		text += `
graced check [FILE]         find everything that is wrong with a configuration file (--strict, -o short|json|jsonl|yaml|sarif)
graced takeover [--dry-run [-o json]] [--force] [-n]
                            take over what a running supervisord (Python's) has; no process is restarted
graced sample               print a sample configuration file with every option
graced demo [--keep] [--json] [--print-config]
                            play the main idea on real processes, in a temporary directory
`
	}
	return strings.ReplaceAll(text, "{name}", argv0)
}
