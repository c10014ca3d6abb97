package config

import (
	"strings"
	"testing"
)

// TestCheckNumbers finds numbers that load and cannot be meant.
func TestCheckNumbers(t *testing.T) {
	const daemon, program, group = "[supervisord]\n", "[supervisord]\n[program:a]\ncommand=/bin/x\n", "[supervisord]\n[program:a]\ncommand=/bin/x\n[group:g]\nprograms=a\n"
	for _, c := range []struct{ head, text, want string }{
		{daemon, "minfds=-5", "W149 2:8 minfds=-5 asks for nothing, as 0 does|write how many open files there have to be, or remove it: 1024 is the default"},
		{daemon, "minprocs=-1", "W149 2:10 minprocs=-1 asks for nothing, as 0 does|write how many processes there have to be, or remove it: 200 is the default"},
		{daemon, "minfds=0\nminprocs=0", ""},
		{daemon, "minfds=1048576", ""},
		{daemon, "minfds=1048577", "W156 2:8 minfds=1048577 is more than a process can have here: 1048576 (fs.nr_open)|the daemon does not start with it; write a smaller number"},
		{daemon, "minprocs=4194305", "W156 2:10 minprocs=4194305 is more than there are pids: 4194304|the daemon starts with it only where it may raise the limit so far; write a smaller number"},
		{daemon, "umask=-1", "W117 2:7 umask=-1 is below 0, and works as 777|write an octal number such as 022"},
		{daemon, "umask=1022", "W117 2:7 only the last three digits of a umask count|it works as 022"},
		{daemon, "umask=777", ""},
		{daemon, "logfile_maxbytes=-1\nlogfile_backups=-1", "W149 2:18 logfile_maxbytes=-1 never rotates the log, as 0 does|write 0 if that is meant, or a size such as 50MB\n" +
			"W149 3:17 logfile_backups=-1 keeps no old log, as 0 does: a full one is emptied|write how many to keep; 10 is the default"},
		{daemon, "logfile=syslog\nlogfile_maxbytes=50", ""},
		{daemon, "logfile_maxbytes=50", "W156 2:18 logfile_maxbytes=50 is 50 bytes: the log is rotated with nearly every line|write the unit as well: 50MB"},
		{daemon, "logfile_maxbytes=0\nlogfile_backups=0", ""},
		{program, "umask=-1", "W117 4:7 umask=-1 is below 0, and works as 777|write an octal number such as 022"},
		{program, "stdout_logfile_maxbytes=-1", "W149 4:25 stdout_logfile_maxbytes=-1 never rotates the log, as 0 does|write 0 if that is meant, or a size such as 50MB"},
		{program, "stderr_logfile_maxbytes=1023", "W156 4:25 stderr_logfile_maxbytes=1023 is 1023 bytes: the log is rotated with nearly every line|write the unit as well: 50MB"},
		{program, "stdout_logfile_maxbytes=1KB\nstdout_logfile_backups=10000", ""},
		{program, "stdout_logfile=NONE\nstdout_logfile_maxbytes=-1\nredirect_stderr=true\nstderr_logfile_backups=-1", ""},
		{program, "stdout_logfile_backups=-1", "W149 4:24 stdout_logfile_backups=-1 keeps no old log, as 0 does: a full one is emptied|write how many to keep; 10 is the default"},
		{program, "stderr_logfile_backups=10001", "W156 4:24 stderr_logfile_backups=10001 has every rotation look for as many files, and no log is written meanwhile|write how many to keep; 10 is the default"},
		{program, "stdout_capture_maxbytes=-1", "W149 4:25 stdout_capture_maxbytes=-1 captures nothing, as 0 does|write the bytes that an event may have, such as 1MB"},
		{program, "startsecs=-1\nautorestart=false", "W149 4:11 startsecs=-1 waits for nothing, as 0 does: the process is RUNNING at once|write the seconds after which a start has succeeded"},
		{program, "startsecs=0\nautorestart=false", ""},
		{program, "startsecs=86400", ""},
		{program, "startsecs=86401", "W156 4:11 startsecs=86401 keeps the process STARTING for more than a day|write the seconds after which a start has succeeded; 1 is the default"},
		{program, "startretries=-1\nbackoff=1s..5s", ""},
		{program, "startretries=-5\nbackoff=1s..5s", "W149 4:14 startretries=-5 never gives up, as -1 does|write -1 if that is meant, or how often to try again"},
		{program, "priority=-2147483648\nstartretries=2147483647\nstopwaitsecs=2147483647", ""},
		{program, "priority=2147483648", "W156 4:10 priority=2147483648 has more than 32 bits|write a number of at most 9 digits"},
		{program, "priority=-2147483649", "W156 4:10 priority=-2147483649 has more than 32 bits|write a number of at most 9 digits"},
		{program, "stopwaitsecs=99999999999", "W156 4:14 stopwaitsecs=99999999999 has more than 32 bits|write a number of at most 9 digits"},
		{program, "startretries=99999999999", "W156 4:14 startretries=99999999999 has more than 32 bits|write a number of at most 9 digits"},
		{group, "priority=99999999999", "W156 6:10 priority=99999999999 has more than 32 bits|write a number of at most 9 digits"},
		{program, "numprocs_start=-5\nprocess_name=%(process_num)d", ""}, // names can be so
		{program, "startsecs=soon\nstdout_logfile_backups=many", "E111 4:11 \"soon\" is not a value of startsecs|give a whole number\nE111 5:24 \"many\" is not a value of stdout_logfile_backups|give a whole number"},
	} {
		if got := strings.Join(findingsAs(fakeMachine(map[string]string{"/bin/x": "#!", "/proc/sys/fs/nr_open": "1048576\n", "/etc/s.conf": c.head + c.text + "\n"}), withLabel), "\n"); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.text, got, c.want)
		}
	}
}
