package client

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/xmlrpc"
)

// errAnswer reports an answer of a type that its method never has.
func errAnswer(method string, v any) error {
	return fmt.Errorf("cannot read the answer to %s: it is a %T", method, v)
}

func structs(method string, v any) ([]xmlrpc.Struct, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errAnswer(method, v)
	}
	out := make([]xmlrpc.Struct, len(list))
	for i, e := range list {
		if out[i], ok = e.(xmlrpc.Struct); !ok {
			return nil, errAnswer(method, e)
		}
	}
	return out, nil
}

func texts(method string, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errAnswer(method, v)
	}
	out := make([]string, len(list))
	for i, e := range list {
		if out[i], ok = e.(string); !ok {
			return nil, errAnswer(method, e)
		}
	}
	return out, nil
}

func readResults(method string, v any) ([]control.Result, error) {
	rows, err := structs(method, v)
	if err != nil {
		return nil, err
	}
	out := make([]control.Result, len(rows))
	for i, row := range rows {
		out[i] = control.Result{Group: row.String("group"), Name: row.String("name"), Code: control.Code(row.Int("status")), Text: row.String("description")}
	}
	return out, nil
}

// readProcess goes through the members once: an answer has them for every process.
func readProcess(s xmlrpc.Struct) control.ProcessInfo {
	var p control.ProcessInfo
	for _, m := range s {
		text, _ := m.Value.(string)
		n, _ := m.Value.(int)
		switch m.Name {
		case "name":
			p.Name = text
		case "group":
			p.Group = text
		case "start":
			p.Start = stamp(n)
		case "stop":
			p.Stop = stamp(n)
		case "now":
			p.Now = stamp(n)
		case "state":
			p.State = process.State(n)
		case "spawnerr":
			p.SpawnErr = text
		case "exitstatus":
			p.ExitStatus = n
		case "stdout_logfile":
			p.StdoutLog = text
		case "stderr_logfile":
			p.StderrLog = text
		case "pid":
			p.PID = n
		case "description":
			p.Description = text
		}
	}
	return p
}

// stamp turns seconds since the epoch into a time; 0 means never.
func stamp(seconds int) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// readConfig is the reverse of the struct of getAllConfigInfo (contract: rpc, "Struct fields").
func readConfig(s xmlrpc.Struct) control.ConfigInfo {
	c := control.ConfigInfo{
		Group: s.String("group"), GroupPriority: s.Int("group_prio"), InUse: s.Bool("inuse"),
		StdoutLog: s.String("stdout_logfile"), StderrLog: s.String("stderr_logfile"),
		Spec: process.Spec{
			Name: s.String("name"), Command: s.String("command"), Directory: orNone(s.String("directory"), ""), Umask: process.UnsetMask, UID: process.UnsetID,
			Priority: s.Int("process_prio"), Autostart: s.Bool("autostart"), StartSecs: s.Int("startsecs"), StartRetries: s.Int("startretries"),
			StopSignal: process.Signal(s.Int("stopsignal")), StopWaitSecs: s.Int("stopwaitsecs"), KillAsGroup: s.Bool("killasgroup"),
			RedirectStderr: s.Bool("redirect_stderr"), Stdout: readLog(s, "stdout"), Stderr: readLog(s, "stderr"),
			ServerURL: orNone(s.String("serverurl"), process.ServerURLAuto),
		},
	}
	if v, _ := s.Get("uid"); v != nil {
		if uid, ok := v.(int); ok {
			c.Spec.UID = uid
		}
	}
	if v, ok := s.Get("autorestart"); ok {
		switch v {
		case true:
			c.Spec.Autorestart = process.RestartAlways
		case false:
			c.Spec.Autorestart = process.RestartNever
		}
	}
	if list, _ := s.Get("exitcodes"); list != nil {
		codes, _ := list.([]any)
		for _, v := range codes {
			if code, ok := v.(int); ok {
				c.Spec.ExitCodes = append(c.Spec.ExitCodes, code)
			}
		}
	}
	for _, f := range process.Fields {
		if _, told := s.Get(cmp.Or(members[f.Name], f.Name)); !told && !slices.Contains(c.Untold, f.Name) {
			c.Untold = append(c.Untold, f.Name)
		}
	}
	return c
}

// members are the options that getAllConfigInfo calls by another name.
var members = map[string]string{"process_name": "name", "priority": "process_prio", "user": "uid"}

func readLog(s xmlrpc.Struct, channel string) process.LogSpec {
	l := process.LogSpec{
		MaxBytes: int64(s.Int(channel + "_logfile_maxbytes")), Backups: s.Int(channel + "_logfile_backups"),
		CaptureMaxBytes: int64(s.Int(channel + "_capture_maxbytes")), EventsEnabled: s.Bool(channel + "_events_enabled"), Syslog: s.Bool(channel + "_syslog"),
	}
	switch path := s.String(channel + "_logfile"); path {
	case "auto":
	case "none":
		l.File.Kind = process.LogNone
	default:
		l.File = process.LogTarget{Kind: process.LogPath, Path: path}
	}
	return l
}

// orNone returns text, or unset where the server wrote its word for a missing value.
func orNone(text, unset string) string {
	if text == "none" || text == "auto" {
		return unset
	}
	return text
}
