package client

import (
	"context"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/xmlrpc"
)

// The methods of control.Service return faults as *control.Error; unlike the daemon's own they also fail with the errors of Call.

// call calls a method of the supervisor namespace for an answer of type T.
func call[T any](ctx context.Context, c *Client, method string, args ...any) (T, error) {
	var zero T
	v, err := c.Call(ctx, method, args...)
	if err != nil {
		return zero, err
	}
	t, ok := v.(T)
	if !ok {
		return zero, errAnswer(method, v)
	}
	return t, nil
}

// Daemon describes the daemon. While it shuts down it tells nothing but this.
func (c *Client) Daemon(ctx context.Context) (control.Daemon, error) {
	var calls []any
	for _, name := range []string{"getIdentification", "getSupervisorVersion", "getPID", "getState"} {
		calls = append(calls, xmlrpc.Struct{{Name: "methodName", Value: "supervisor." + name}, {Name: "params", Value: []any{}}})
	}
	answers, err := call[[]any](ctx, c, "system.multicall", calls)
	if err != nil {
		return control.Daemon{}, err
	}
	if len(answers) != len(calls) {
		return control.Daemon{}, errAnswer("system.multicall", answers)
	}
	for _, a := range answers {
		s, _ := a.(xmlrpc.Struct)
		if _, isFault := s.Get("faultCode"); !isFault {
			continue
		}
		if code := control.Code(s.Int("faultCode")); code != control.ShutdownState {
			return control.Daemon{}, faultError(&xmlrpc.Fault{Code: int(code), String: s.String("faultString")})
		}
		return control.Daemon{Mood: control.MoodShutdown}, nil
	}
	identifier, _ := answers[0].(string)
	version, _ := answers[1].(string)
	pid, _ := answers[2].(int)
	state, _ := answers[3].(xmlrpc.Struct)
	return control.Daemon{Identifier: identifier, Version: version, PID: pid, Mood: control.Mood(state.Int("statecode"))}, nil
}

// Process describes one process.
func (c *Client) Process(ctx context.Context, name string) (control.ProcessInfo, error) {
	s, err := call[xmlrpc.Struct](ctx, c, "supervisor.getProcessInfo", name)
	if err != nil {
		return control.ProcessInfo{}, err
	}
	return readProcess(s), nil
}

// Processes describes all processes.
func (c *Client) Processes(ctx context.Context) ([]control.ProcessInfo, error) {
	const method = "supervisor.getAllProcessInfo"
	v, err := c.Call(ctx, method)
	if err != nil {
		return nil, err
	}
	rows, err := structs(method, v)
	if err != nil {
		return nil, err
	}
	out := make([]control.ProcessInfo, len(rows))
	for i, row := range rows {
		out[i] = readProcess(row)
	}
	return out, nil
}

// Configs describes the last-read configuration, as far as getAllConfigInfo does: no environment, umask, stopasgroup.
func (c *Client) Configs(ctx context.Context) ([]control.ConfigInfo, error) {
	const method = "supervisor.getAllConfigInfo"
	v, err := c.Call(ctx, method)
	if err != nil {
		return nil, err
	}
	rows, err := structs(method, v)
	if err != nil {
		return nil, err
	}
	out := make([]control.ConfigInfo, len(rows))
	for i, row := range rows {
		out[i] = readConfig(row)
	}
	return out, nil
}

// Groups names the active groups. A server without the grace or twiddler methods is asked for its processes; then the names are sorted and
// empty groups are missing.
func (c *Client) Groups(ctx context.Context) ([]string, error) {
	v, err := c.extension(ctx, "getGroupNames")
	if err == nil {
		return texts("getGroupNames", v)
	}
	if !isUnknownMethod(err) {
		return nil, err
	}
	infos, err := c.Processes(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range infos {
		if n := len(names); n == 0 || names[n-1] != p.Group {
			names = append(names, p.Group)
		}
	}
	return names, nil
}

// extension calls a method that both the grace and the twiddler namespace may have.
func (c *Client) extension(ctx context.Context, method string, args ...any) (any, error) {
	v, err := c.Call(ctx, "grace."+method, args...)
	if isUnknownMethod(err) {
		return c.Call(ctx, "twiddler."+method, args...)
	}
	return v, err
}

func isUnknownMethod(err error) bool {
	var fault *control.Error
	return errors.As(err, &fault) && fault.Code == control.UnknownMethod
}

// Start starts the processes of target.
func (c *Client) Start(ctx context.Context, target control.Target, wait bool) ([]control.Result, error) {
	return c.act(ctx, "start", target, wait)
}

// Stop stops the processes of target.
func (c *Client) Stop(ctx context.Context, target control.Target, wait bool) ([]control.Result, error) {
	return c.act(ctx, "stop", target, wait)
}

// Signal sends a signal to the processes of target.
func (c *Client) Signal(ctx context.Context, target control.Target, signal string) ([]control.Result, error) {
	return c.act(ctx, "signal", target, signal)
}

// act calls the one of the three methods of a verb that fits the target. A single process answers true, everything else rows.
func (c *Client) act(ctx context.Context, verb string, target control.Target, arg any) ([]control.Result, error) {
	method, args := "supervisor."+verb+"Process", []any{target.Name, arg}
	switch {
	case target.All:
		method, args = "supervisor."+verb+"AllProcesses", []any{arg}
	case target.Group:
		method += "Group"
	}
	v, err := c.Call(ctx, method, args...)
	if err != nil {
		return nil, err
	}
	if _, ok := v.(bool); ok {
		spec := process.ParseNamespec(target.Name)
		return []control.Result{{Group: spec.Group, Name: spec.Process, Code: control.Success, Text: "OK"}}, nil
	}
	return readResults(method, v)
}

// WriteStdin writes text to the standard input of one process. The protocol carries UTF-8 alone.
func (c *Client) WriteStdin(ctx context.Context, name string, data []byte) error {
	if !utf8.Valid(data) {
		return control.Fault(control.IncorrectParameters, "input that is no UTF-8 cannot be sent")
	}
	return c.do(ctx, "supervisor.sendProcessStdin", name, string(data))
}

// do calls a method whose answer says nothing.
func (c *Client) do(ctx context.Context, method string, args ...any) error {
	_, err := c.Call(ctx, method, args...)
	return err
}

// Reread reads the configuration files.
func (c *Client) Reread(ctx context.Context) (control.Reread, error) {
	const method = "supervisor.reloadConfig"
	outer, err := call[[]any](ctx, c, method)
	if err != nil {
		return control.Reread{}, err
	}
	if len(outer) != 1 {
		return control.Reread{}, errAnswer(method, outer)
	}
	lists, ok := outer[0].([]any)
	if !ok || len(lists) != 3 {
		return control.Reread{}, errAnswer(method, outer[0])
	}
	var names [3][]string
	for i, list := range lists {
		if names[i], err = texts(method, list); err != nil {
			return control.Reread{}, err
		}
	}
	return control.Reread{Added: names[0], Changed: names[1], Removed: names[2]}, nil
}

// AddGroup adds a group of the last-read configuration.
func (c *Client) AddGroup(ctx context.Context, name string) error {
	return c.do(ctx, "supervisor.addProcessGroup", name)
}

// RemoveGroup removes a stopped group.
func (c *Client) RemoveGroup(ctx context.Context, name string) error {
	return c.do(ctx, "supervisor.removeProcessGroup", name)
}

// AddProgram adds the processes of a new program to a group.
func (c *Client) AddProgram(ctx context.Context, group, program string, options map[string]string) error {
	members := make(xmlrpc.Struct, 0, len(options))
	for k, v := range options {
		members = append(members, xmlrpc.Member{Name: k, Value: v})
	}
	_, err := c.extension(ctx, "addProgramToGroup", group, program, members)
	return err
}

// RemoveProcess removes a stopped process from its group.
func (c *Client) RemoveProcess(ctx context.Context, group, name string) error {
	_, err := c.extension(ctx, "removeProcessFromGroup", group, name)
	return err
}

// UpdateNumprocs is the first half of grace_update for servers with the Python plugin.
func (c *Client) UpdateNumprocs(ctx context.Context, group string) (control.Numprocs, error) {
	text, err := call[string](ctx, c, "grace.UpdateNumprocs", group)
	if err != nil {
		return control.Numprocs{}, err
	}
	var answer struct {
		Type      string   `json:"type"`
		Processes []string `json:"processes_name"`
		Message   string   `json:"msg"`
	}
	if json.Unmarshal([]byte(text), &answer) != nil {
		// An early release of the plugin answered its refusals as plain text.
		return control.Numprocs{Type: "error", Message: text}, nil //nolint:nilerr // the plain text is the answer
	}
	return control.Numprocs{Type: answer.Type, Processes: answer.Processes, Message: answer.Message}, nil
}

// GraceUpdate is grace_update as one transaction. UnknownMethod where the server is not graced.
func (c *Client) GraceUpdate(ctx context.Context, name string) (control.GraceResult, error) {
	const method = "grace.update"
	s, err := call[xmlrpc.Struct](ctx, c, method, name)
	if err != nil {
		return control.GraceResult{}, err
	}
	r := control.GraceResult{Group: s.String("group"), Refused: s.Bool("refused"), Message: s.String("message")}
	for member, to := range map[string]*[]string{"fields": &r.Fields, "added": &r.Added, "stopped": &r.Stopped, "removed": &r.Removed} {
		list, _ := s.Get(member)
		if *to, err = texts(method, list); err != nil {
			return control.GraceResult{}, err
		}
	}
	failed, _ := s.Get("failed")
	r.Failed, err = readResults(method, failed)
	return r, err
}

// ReadLog returns bytes of a log. What is no UTF-8 comes as U+FFFD.
func (c *Client) ReadLog(ctx context.Context, log control.Log, offset, length int64) ([]byte, error) {
	method, args := "supervisor.readLog", []any{offset, length}
	if !log.Main {
		method, args = "supervisor.readProcess"+channel(log)+"Log", []any{log.Process, offset, length}
	}
	text, err := call[string](ctx, c, method, args...)
	return []byte(text), err
}

// TailLog returns the end of a process's log. The protocol has no such method for the main log.
func (c *Client) TailLog(ctx context.Context, log control.Log, offset, length int64) (control.Tail, error) {
	if log.Main {
		return control.Tail{}, control.Fault(control.BadArguments, "the main log has no tail method; read it from a negative offset")
	}
	method := "supervisor.tailProcess" + channel(log) + "Log"
	answer, err := call[[]any](ctx, c, method, log.Process, offset, length)
	if err != nil {
		return control.Tail{}, err
	}
	if len(answer) != 3 {
		return control.Tail{}, errAnswer(method, answer)
	}
	text, _ := answer[0].(string)
	end, _ := answer[1].(int)
	overflow, _ := answer[2].(bool)
	return control.Tail{Data: []byte(text), Offset: int64(end), Overflow: overflow}, nil
}

func channel(log control.Log) string {
	if log.Channel == control.Stderr {
		return "Stderr"
	}
	return "Stdout"
}

// FollowLog streams a log. A server answers one status for every failure, so that an unknown process, too, is NoFile.
func (c *Client) FollowLog(ctx context.Context, log control.Log) (control.Follower, error) {
	path := "/mainlogtail"
	if !log.Main {
		path = "/logtail/" + log.Process
		if log.Channel != "" {
			path += "/" + string(log.Channel)
		}
	}
	body, err := c.Stream(ctx, path)
	var status *ProtocolError
	if errors.As(err, &status) && status.Code == statusNotFound {
		return nil, control.Fault(control.NoFile, log.Process)
	}
	if err != nil {
		return nil, err
	}
	return &follower{body: body, buf: make([]byte, 32<<10)}, nil
}

// ClearLog empties the main log, or both logs of one process.
func (c *Client) ClearLog(ctx context.Context, log control.Log) error {
	if log.Main {
		return c.do(ctx, "supervisor.clearLog")
	}
	return c.do(ctx, "supervisor.clearProcessLogs", log.Process)
}

// ClearAllLogs empties the logs of all processes.
func (c *Client) ClearAllLogs(ctx context.Context) ([]control.Result, error) {
	const method = "supervisor.clearAllProcessLogs"
	v, err := c.Call(ctx, method)
	if err != nil {
		return nil, err
	}
	return readResults(method, v)
}

// Shutdown begins the shutdown.
func (c *Client) Shutdown(ctx context.Context) error { return c.do(ctx, "supervisor.shutdown") }

// Restart begins the soft restart.
func (c *Client) Restart(ctx context.Context) error { return c.do(ctx, "supervisor.restart") }

// SendRemote gives a REMOTE_COMMUNICATION event to the event listeners.
func (c *Client) SendRemote(ctx context.Context, kind, data string) error {
	return c.do(ctx, "supervisor.sendRemoteCommEvent", kind, data)
}

// Log writes a line into the main log.
func (c *Client) Log(ctx context.Context, level int, message string) error {
	_, err := c.extension(ctx, "log", message, level)
	return err
}
