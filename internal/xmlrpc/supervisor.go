package xmlrpc

import (
	"context"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// apiVersion is the version of the supervisor namespace, which clients compare.
const apiVersion = "3.0"

// Result descriptions that several methods share.
var (
	alwaysTrue = Param{"boolean", "result", "true unless there is a fault"}
	rows       = Param{"array", "result", "a struct of name, group, status and description for each process"}
	nameParam  = Param{"string", "name", "the process, as name or group:name"}
	groupParam = Param{"string", "name", "the group"}
	specParam  = Param{"string", "name", "the process, as name or group:name, or group:* for a whole group"}
	waitParam  = Param{"boolean", "wait", "answer when it is done, not when it has begun; true if missing"}
	offset     = Param{"int", "offset", "where to begin; negative: that many bytes before the end"}
	length     = Param{"int", "length", "how many bytes; 0 reads to the end"}
)

// Supervisor returns the methods of Supervisor's own namespace (contract: rpc, "supervisor.* methods"), under the name given in the
// configuration, usually "supervisor".
func Supervisor(svc control.Service, name string) Namespace {
	var methods []Method
	methods = append(methods, daemonMethods(svc)...)
	methods = append(methods, groupMethods(svc)...)
	methods = append(methods, processMethods(svc)...)
	methods = append(methods, logMethods(svc)...)
	guard := notShuttingDown(svc)
	for i := range methods {
		// compat: the one method that answers while the daemon shuts down (quirk D19). Even getState faults then (quirk D6).
		if methods[i].Name != "sendRemoteCommEvent" {
			methods[i].Guard = guard
		}
	}
	return Namespace{Name: name, Methods: methods}
}

// notShuttingDown faults while the daemon is about to end or to restart.
func notShuttingDown(svc control.Service) func(context.Context, string) error {
	return func(ctx context.Context, _ string) error {
		d, err := svc.Daemon(ctx)
		if err == nil && d.Mood < control.MoodRunning {
			err = control.Fault(control.ShutdownState, "")
		}
		return err
	}
}

// alias returns m under further names, all with the same documentation.
func alias(m Method, names ...string) []Method {
	out := []Method{m}
	for _, name := range names {
		m.Name = name
		out = append(out, m)
	}
	return out
}

// done answers true, or the error.
func done(err error) (any, error) { return true, err }

func daemonMethods(svc control.Service) []Method {
	about := func(get func(control.Daemon) any) func(context.Context, Args) (any, error) {
		return func(ctx context.Context, _ Args) (any, error) {
			d, err := svc.Daemon(ctx)
			return get(d), err
		}
	}
	methods := alias(Method{
		Name: "getAPIVersion", Help: "Tell the version of this interface.", Return: Param{"string", "version", "the version"},
		Call: func(context.Context, Args) (any, error) { return apiVersion, nil },
	}, "getVersion")
	return append(methods, []Method{
		{
			Name: "getSupervisorVersion", Help: "Tell the version of the daemon.", Return: Param{"string", "version", "the version"},
			Call: about(func(d control.Daemon) any { return d.Version }),
		}, {
			Name: "getIdentification", Help: "Tell the daemon's identifier.", Return: Param{"string", "identifier", "the identifier"},
			Call: about(func(d control.Daemon) any { return d.Identifier }),
		}, {
			Name: "getState", Help: "Tell the daemon's state.", Return: Param{"struct", "state", "a struct of statecode and statename"},
			Call: about(func(d control.Daemon) any { return Struct{{"statecode", int(d.Mood)}, {"statename", d.Mood.String()}} }),
		}, {
			Name: "getPID", Help: "Tell the daemon's process id.", Return: Param{"int", "pid", "the process id"},
			Call: about(func(d control.Daemon) any { return d.PID }),
		}, {
			Name: "shutdown", Help: "Stop all processes and end the daemon. The answer comes before that.", Return: alwaysTrue,
			Call: func(ctx context.Context, _ Args) (any, error) { return done(svc.Shutdown(ctx)) },
		}, {
			Name: "restart", Help: "Stop all processes, read the configuration files again and start anew. The answer comes before that.", Return: alwaysTrue,
			Call: func(ctx context.Context, _ Args) (any, error) { return done(svc.Restart(ctx)) },
		}, {
			Name: "sendRemoteCommEvent", Help: "Emit an event that subscribers of REMOTE_COMMUNICATION get.",
			Params: []Param{{"string", "type", "the event's type"}, {"string", "data", "the event's body"}}, Return: alwaysTrue,
			// compat: any types are accepted, and shown as Python shows them.
			Call: func(ctx context.Context, args Args) (any, error) {
				return done(svc.SendRemote(ctx, pythonText(args[0]), pythonText(args[1])))
			},
		},
	}...)
}

func groupMethods(svc control.Service) []Method {
	onGroup := func(act func(context.Context, string) error) func(context.Context, Args) (any, error) {
		return func(ctx context.Context, args Args) (any, error) {
			name, err := args.Text(0)
			if err != nil {
				return nil, err
			}
			return done(act(ctx, name))
		}
	}
	return []Method{
		{
			Name: "reloadConfig", Help: "Read the configuration files and compare them with what is active. Nothing is started or stopped.",
			Return: Param{"array", "result", "[[added, changed, removed]], each an array of the names of groups"},
			Call: func(ctx context.Context, _ Args) (any, error) {
				r, err := svc.Reread(ctx)
				return []any{[]any{r.Added, r.Changed, r.Removed}}, err
			},
		}, {
			Name: "addProcessGroup", Help: "Activate a group of the configuration that was read last.", Params: []Param{groupParam}, Return: alwaysTrue,
			Call: onGroup(svc.AddGroup),
		}, {
			Name: "removeProcessGroup", Help: "Remove a group whose processes have all stopped.", Params: []Param{groupParam}, Return: alwaysTrue,
			Call: onGroup(svc.RemoveGroup),
		},
	}
}

// single answers a command for a process or, if name stands for one, a group: true for the one, rows for the other.
func single(name string, results []control.Result, err error) (any, error) {
	if err != nil || process.ParseNamespec(name).WholeGroup() {
		return resultRows(results), err
	}
	for _, r := range results {
		if r.Code != control.Success {
			return nil, &control.Error{Code: r.Code, Raw: r.Text}
		}
	}
	return true, nil
}

func resultRows(results []control.Result) []any {
	out := make([]any, len(results))
	for i, r := range results {
		out[i] = Struct{{"name", r.Name}, {"group", r.Group}, {"status", int(r.Code)}, {"description", r.Text}}
	}
	return out
}

// command is a verb on processes: it waits, or not.
type command func(ctx context.Context, target control.Target, wait bool) ([]control.Result, error)

// lifecycle returns the three methods of a verb: for one process, a group, all processes.
func lifecycle(verb, help string, act command) []Method {
	return []Method{
		{
			Name: verb + "Process", Help: help + " one process.", Params: []Param{specParam, waitParam}, Optional: 1, Return: alwaysTrue,
			Call: func(ctx context.Context, args Args) (any, error) {
				name, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				results, err := act(ctx, control.Target{Name: name}, args.Truth(1, true))
				return single(name, results, err)
			},
		}, {
			Name: verb + "ProcessGroup", Help: help + " all processes of a group.", Params: []Param{groupParam, waitParam}, Optional: 1, Return: rows,
			Call: func(ctx context.Context, args Args) (any, error) {
				name, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				results, err := act(ctx, control.Target{Name: name, Group: true}, args.Truth(1, true))
				return resultRows(results), err
			},
		}, {
			Name: verb + "AllProcesses", Help: help + " all processes.", Params: []Param{waitParam}, Optional: 1, Return: rows,
			Call: func(ctx context.Context, args Args) (any, error) {
				results, err := act(ctx, control.Target{All: true}, args.Truth(0, true))
				return resultRows(results), err
			},
		},
	}
}

func processMethods(svc control.Service) []Method {
	signal := Param{"string", "signal", "its name or number, e.g. HUP or 1"}
	methods := append(lifecycle("start", "Start", svc.Start), lifecycle("stop", "Stop", svc.Stop)...)
	return append(methods, []Method{
		{
			Name: "signalProcess", Help: "Send a signal to one process.", Params: []Param{specParam, signal}, Return: alwaysTrue,
			Call: func(ctx context.Context, args Args) (any, error) {
				name, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				sig, err := args.Signal(1)
				if err != nil {
					return nil, err
				}
				results, err := svc.Signal(ctx, control.Target{Name: name}, sig)
				return single(name, results, err)
			},
		}, {
			Name: "signalProcessGroup", Help: "Send a signal to all processes of a group.", Params: []Param{groupParam, signal}, Return: rows,
			Call: func(ctx context.Context, args Args) (any, error) {
				name, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				sig, err := args.Signal(1)
				if err != nil {
					return nil, err
				}
				results, err := svc.Signal(ctx, control.Target{Name: name, Group: true}, sig)
				return resultRows(results), err
			},
		}, {
			Name: "signalAllProcesses", Help: "Send a signal to all processes.", Params: []Param{signal}, Return: rows,
			Call: func(ctx context.Context, args Args) (any, error) {
				sig, err := args.Signal(0)
				if err != nil {
					return nil, err
				}
				results, err := svc.Signal(ctx, control.Target{All: true}, sig)
				return resultRows(results), err
			},
		}, {
			Name: "sendProcessStdin", Help: "Write text to the standard input of a process, as UTF-8.",
			Params: []Param{nameParam, {"string", "chars", "the text"}}, Return: alwaysTrue,
			Call: func(ctx context.Context, args Args) (any, error) {
				chars, ok := args[1].(string)
				switch {
				case !ok && args[1] == nil: // None as a detail is no detail
					return nil, errParameters
				case !ok:
					return nil, control.Fault(control.IncorrectParameters, pythonText(args[1]))
				}
				name, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				return done(svc.WriteStdin(ctx, name, []byte(chars)))
			},
		}, {
			Name: "getProcessInfo", Help: "Describe one process.", Params: []Param{nameParam}, Return: Param{"struct", "result", "what is known of it"},
			Call: func(ctx context.Context, args Args) (any, error) {
				name, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				info, err := svc.Process(ctx, name)
				return Raw(appendProcess(nil, info)), err
			},
		}, {
			Name: "getAllProcessInfo", Help: "Describe all processes, sorted by group and name.", Return: Param{"array", "result", "structs as of getProcessInfo"},
			Call: func(ctx context.Context, _ Args) (any, error) {
				infos, err := svc.Processes(ctx)
				return processList(infos), err
			},
		}, {
			Name: "getAllConfigInfo", Help: "Describe the configuration of all processes, as it was read last.",
			Return: Param{"array", "result", "structs of options"},
			Call: func(ctx context.Context, _ Args) (any, error) {
				infos, err := svc.Configs(ctx)
				out := make([]any, len(infos))
				for i, info := range infos {
					out[i] = configStruct(info)
				}
				return out, err
			},
		},
	}...)
}
