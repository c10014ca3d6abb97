package xmlrpc

import (
	"math"
	"slices"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// processList is the answer of getAllProcessInfo. It is encoded without going through Struct: at a thousand processes dashboards ask for
// a megabyte several times a second.
type processList []control.ProcessInfo

func appendProcesses(b []byte, list processList) []byte {
	b = append(b, arrayBegin...)
	for i, info := range list {
		start := len(b)
		b = appendProcess(b, info)
		if i == 0 {
			// The structs of one daemon are of about one size.
			b = slices.Grow(b, (len(b)-start+32)*len(list)+len(arrayEnd)+len(responseEnd))
		}
	}
	return append(b, arrayEnd...)
}

// appendProcess appends the struct of getProcessInfo, its members in Supervisor's order (contract: rpc, "Struct fields").
func appendProcess(b []byte, p control.ProcessInfo) []byte {
	b = append(b, structBegin...)
	b = appendMemberString(b, "name", p.Name)
	b = appendMemberString(b, "group", p.Group)
	b = appendMemberInt(b, "start", seconds(p.Start))
	b = appendMemberInt(b, "stop", seconds(p.Stop))
	b = appendMemberInt(b, "now", seconds(p.Now))
	b = appendMemberInt(b, "state", int(p.State))
	b = appendMemberString(b, "statename", p.State.String())
	b = appendMemberString(b, "spawnerr", p.SpawnErr)
	b = appendMemberInt(b, "exitstatus", p.ExitStatus)
	b = appendMemberString(b, "logfile", p.StdoutLog)
	b = appendMemberString(b, "stdout_logfile", p.StdoutLog)
	b = appendMemberString(b, "stderr_logfile", p.StderrLog)
	b = appendMemberInt(b, "pid", p.PID)
	b = appendMemberString(b, "description", p.Description)
	return append(b, structEnd...)
}

// seconds returns a time as the protocol's 32 bits hold it; never is 0.
func seconds(t time.Time) int {
	if t.IsZero() {
		return 0
	}
	return int(max(math.MinInt32, min(math.MaxInt32, t.Unix())))
}

// configStruct returns the struct of getAllConfigInfo, its members in Supervisor's order. autorestart is always there (quirk D7).
func configStruct(c control.ConfigInfo) Struct {
	s := c.Spec
	codes := make([]any, len(s.ExitCodes))
	for i, code := range s.ExitCodes {
		codes[i] = code
	}
	var uid any = "none"
	if s.UID != process.UnsetID {
		uid = s.UID
	}
	var autorestart any = "unexpected"
	switch s.Autorestart {
	case process.RestartAlways:
		autorestart = true
	case process.RestartNever:
		autorestart = false
	}
	directory, serverURL := s.Directory, s.ServerURL
	if directory == "" {
		directory = "none"
	}
	if serverURL == process.ServerURLAuto {
		serverURL = "none" // compat: AUTO is not told apart from a missing value
	}
	return Struct{
		{"autostart", s.Autostart},
		{"autorestart", autorestart},
		{"directory", directory},
		{"uid", uid},
		{"command", s.Command},
		{"exitcodes", codes},
		{"group", c.Group},
		{"group_prio", c.GroupPriority},
		{"inuse", c.InUse},
		{"killasgroup", s.KillAsGroup},
		{"name", s.Name},
		{"process_prio", s.Priority},
		{"redirect_stderr", s.RedirectStderr},
		{"startretries", s.StartRetries},
		{"startsecs", s.StartSecs},
		{"stdout_capture_maxbytes", s.Stdout.CaptureMaxBytes},
		{"stdout_events_enabled", s.Stdout.EventsEnabled},
		{"stdout_logfile", c.StdoutLog},
		{"stdout_logfile_backups", s.Stdout.Backups},
		{"stdout_logfile_maxbytes", s.Stdout.MaxBytes},
		{"stdout_syslog", s.Stdout.Syslog},
		{"stopsignal", int(s.StopSignal)},
		{"stopwaitsecs", s.StopWaitSecs},
		{"stderr_capture_maxbytes", s.Stderr.CaptureMaxBytes},
		{"stderr_events_enabled", s.Stderr.EventsEnabled},
		{"stderr_logfile", c.StderrLog},
		{"stderr_logfile_backups", s.Stderr.Backups},
		{"stderr_logfile_maxbytes", s.Stderr.MaxBytes},
		{"stderr_syslog", s.Stderr.Syslog},
		{"serverurl", serverURL},
	}
}
