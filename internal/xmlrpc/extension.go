package xmlrpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/graced/graced/internal/control"
)

// Plugin is an [rpcinterface:name] section.
type Plugin struct {
	Name    string            // the prefix of its methods
	Factory string            // one of the Factory constants
	Options map[string]string // the section's other options; one that the factory does not know is an error
}

// The factories that are built in, by the Python names that configuration files carry.
const (
	FactoryMain     = "supervisor.rpcinterface:make_main_rpcinterface"
	FactoryTwiddler = "supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface"
	FactoryGrace    = "supervisor_grace.rpcinterface:make_grace_rpcinterface"
)

var factories = map[string]func(svc control.Service, name string, options map[string]string) (Namespace, error){
	FactoryMain: func(svc control.Service, name string, options map[string]string) (Namespace, error) {
		return Supervisor(svc, name), unknownOptions(options)
	},
	FactoryTwiddler: Twiddler,
	FactoryGrace:    Grace,
}

func unknownOptions(options map[string]string, known ...string) error {
	for key := range options {
		if !slices.Contains(known, key) {
			return fmt.Errorf("unknown option %s", key)
		}
	}
	return nil
}

// Twiddler returns the methods of supervisor_twiddler (contract: rpc, "twiddler.* / grace.*"). The option whitelist names the methods that may
// be called, separated by commas; all of them if it is empty.
func Twiddler(svc control.Service, name string, options map[string]string) (Namespace, error) {
	return extension(svc, name, options, twiddlerMethods(svc))
}

// Grace returns the methods of supervisor_grace, which are those of twiddler, UpdateNumprocs and our own update. Unlike in the Python
// plugin the whitelist and the check for a shutdown hold for all of them (quirk G9).
func Grace(svc control.Service, name string, options map[string]string) (Namespace, error) {
	return extension(svc, name, options, append(twiddlerMethods(svc), graceMethods(svc)...))
}

func extension(svc control.Service, name string, options map[string]string, methods []Method) (Namespace, error) {
	if err := unknownOptions(options, "whitelist"); err != nil {
		return Namespace{}, err
	}
	var whitelist []string
	for _, word := range strings.Split(options["whitelist"], ",") {
		if word = strings.TrimSpace(word); word != "" {
			whitelist = append(whitelist, word)
		}
	}
	guard := func(ctx context.Context, method string) error {
		d, err := svc.Daemon(ctx)
		if err != nil {
			return err
		}
		if d.Mood == control.MoodShutdown { // compat: a restart passes
			return control.Fault(control.ShutdownState, "")
		}
		// update does what UpdateNumprocs began, so that one permission covers both.
		if len(whitelist) == 0 || slices.Contains(whitelist, method) || method == "update" && slices.Contains(whitelist, "UpdateNumprocs") {
			return nil
		}
		return control.Fault(control.NotInWhitelist, method)
	}
	for i := range methods {
		methods[i].Guard = guard
	}
	return Namespace{Name: name, Methods: methods}, nil
}

// logLevels are the names of the levels of the main log.
var logLevels = map[string]int{"CRIT": 50, "ERRO": 40, "WARN": 30, "INFO": 20, "DEBG": 10, "TRAC": 5, "BLAT": 3}

func twiddlerMethods(svc control.Service) []Method {
	group := Param{"string", "group_name", "an active group"}
	return []Method{
		{
			// compat: the version is a string, whatever its documentation says (quirk D21).
			Name: "getAPIVersion", Help: "Tell the version of this interface.", Return: Param{"int", "version", "the version"},
			Call: func(context.Context, Args) (any, error) { return "1.0", nil },
		}, {
			Name: "getGroupNames", Help: "Name the active groups.", Return: Param{"array", "names", "the names of the groups"},
			Call: func(ctx context.Context, _ Args) (any, error) { return svc.Groups(ctx) },
		}, {
			Name: "log", Help: "Write a line into the daemon's main log.",
			Params: []Param{{"string", "message", "the line"}, {"string|int", "level", "name or number of the level; INFO if missing"}}, Optional: 1,
			Return: alwaysTrue,
			Call: func(ctx context.Context, args Args) (any, error) {
				message, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				level := logLevels["INFO"]
				if len(args) > 1 {
					switch v := args[1].(type) {
					case string:
						level = logLevels[strings.ToUpper(v)]
					case int:
						level = v
					default:
						return nil, errParameters
					}
				}
				if !validLevel(level) {
					return nil, errParameters
				}
				return done(svc.Log(ctx, level, message))
			},
		}, {
			Name: "addProgramToGroup", Help: "Add the processes of a new program to a group. Those with autostart are started.",
			Params: []Param{group, {"string", "program_name", "the name of the new program"},
				{"struct", "program_options", "options as in a [program:x] section"}},
			Return: alwaysTrue,
			Call: func(ctx context.Context, args Args) (any, error) {
				groupName, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				program, err := args.Text(1)
				if err != nil {
					return nil, err
				}
				members, ok := args[2].(Struct)
				if !ok {
					return nil, errParameters
				}
				options := make(map[string]string, len(members))
				for _, m := range members {
					if options[m.Name], ok = m.Value.(string); !ok {
						return nil, errParameters
					}
				}
				return done(svc.AddProgram(ctx, groupName, program, options))
			},
		}, {
			Name: "removeProcessFromGroup", Help: "Remove a stopped process from its group.",
			Params: []Param{group, {"string", "process_name", "the process"}}, Return: alwaysTrue,
			Call: func(ctx context.Context, args Args) (any, error) {
				groupName, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				name, err := args.Text(1)
				if err != nil {
					return nil, err
				}
				return done(svc.RemoveProcess(ctx, groupName, name))
			},
		},
	}
}

func validLevel(level int) bool {
	for _, known := range logLevels {
		if level == known {
			return true
		}
	}
	return false
}

func graceMethods(svc control.Service) []Method {
	return []Method{
		{
			// compat: without a result in its documentation, so that methodSignature answers SIGNATURE_UNSUPPORTED.
			Name: "UpdateNumprocs", Help: "Read the configuration files and add the processes that a larger numprocs brings to a group, or name those\n" +
				"        that a smaller one has no place for. The answer is JSON. Prefer update, which does all of it.",
			Params: []Param{{"string", "group_name", "an active group"}},
			Call: func(ctx context.Context, args Args) (any, error) {
				name, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				n, err := svc.UpdateNumprocs(ctx, name)
				return numprocsJSON(n), err
			},
		}, {
			Name: "update", Help: "Read the configuration files and bring a group to its new number of processes: start what is new, stop and remove\n" +
				"        what is surplus, touch nothing else. If anything else has changed, nothing is done. The answer comes at the end.",
			Params: []Param{{"string", "name", "a group, or a program inside one"}},
			Return: Param{"struct", "result", "a struct of group, refused, message, fields, added, stopped, removed and failed"},
			Call: func(ctx context.Context, args Args) (any, error) {
				name, err := args.Text(0)
				if err != nil {
					return nil, err
				}
				r, err := svc.GraceUpdate(ctx, name)
				return Struct{
					{"group", r.Group}, {"refused", r.Refused}, {"message", r.Message}, {"fields", r.Fields},
					{"added", r.Added}, {"stopped", r.Stopped}, {"removed", r.Removed}, {"failed", resultRows(r.Failed)},
				}, err
			},
		},
	}
}

// numprocsJSON writes the answer of UpdateNumprocs as Python's json.dumps does: with spaces, and ASCII alone.
func numprocsJSON(n control.Numprocs) string {
	if n.Type == "error" {
		return `{"msg": ` + jsonString(n.Message) + `, "type": "error"}`
	}
	names := make([]string, len(n.Processes))
	for i, name := range n.Processes {
		names[i] = jsonString(name)
	}
	return `{"processes_name": [` + strings.Join(names, ", ") + `], "type": ` + jsonString(n.Type) + `}`
}

func jsonString(text string) string {
	short := map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch s, ok := short[r]; {
		case ok:
			b.WriteString(s)
		case r >= 0x20 && r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		case r == 0x7f:
			b.WriteRune(r) // ASCII to Python
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String() + `"`
}
