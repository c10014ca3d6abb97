package process

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Class says what a changed option costs.
type Class int

// The classes, weakest first: the strongest class among the changed options of a process decides what has to happen to it.
const (
	Live        Class = iota // applied to the running process
	NextStart                // taken over now, used when the process starts the next time
	Respawn                  // the process is replaced
	GroupWide                // the group is replaced, with all its processes
	Identity                 // the process is another one: added or removed, or, where only its name differs, renamed
	DaemonClass              // concerns the daemon itself: needs its restart
)

// String returns the name of the class.
func (c Class) String() string {
	return [...]string{"live", "next start", "respawn", "group", "identity", "daemon"}[c]
}

// Field describes one option of a Spec: the row that parsing, comparison, getAllConfigInfo and documentation share.
type Field struct {
	Name   string // the option's name in a configuration file
	Member string // the path of the member in Spec, e.g. "Stdout.File"
	Class  Class
	Unseen bool                      // Supervisor's comparison, and so Diff, passes over it
	Text   func(Spec) string         // the value as text, for messages
	Equal  func(active, n Spec) bool // whether the change from active to n is none
}

// Fields lists every compared option (contract: config, "Comparison used by reread/update"). Program, Num and Origin have no row: where a
// process was defined is not what it is.
var Fields = buildFields()

func buildFields() []Field {
	var rows []Field
	add := func(name, member string, class Class, text func(Spec) string) {
		rows = append(rows, Field{Name: name, Member: member, Class: class, Text: text, Equal: func(a, b Spec) bool { return text(a) == text(b) }})
	}
	integer := func(name, member string, get func(Spec) int) { // all of them are live, but for startsecs
		class := Live
		if name == "startsecs" {
			class = NextStart
		}
		add(name, member, class, func(s Spec) string { return strconv.Itoa(get(s)) })
	}
	boolean := func(name, member string, class Class, get func(Spec) bool) {
		add(name, member, class, func(s Spec) string { return strconv.FormatBool(get(s)) })
	}

	add("process_name", "Name", Identity, func(s Spec) string { return s.Name })
	add("command", "Command", Respawn, func(s Spec) string { return s.Command })
	add("directory", "Directory", Respawn, func(s Spec) string { return s.Directory })
	add("umask", "Umask", Respawn, func(s Spec) string {
		if s.Umask == UnsetMask {
			return ""
		}
		return "0" + strconv.FormatInt(int64(s.Umask), 8)
	})
	add("user", "UID", Respawn, func(s Spec) string {
		if s.UID == UnsetID {
			return ""
		}
		return strconv.Itoa(s.UID)
	})
	integer("priority", "Priority", func(s Spec) int { return s.Priority })
	boolean("autostart", "Autostart", NextStart, func(s Spec) bool { return s.Autostart })
	add("autorestart", "Autorestart", Live, func(s Spec) string { return s.Autorestart.String() })
	integer("startsecs", "StartSecs", func(s Spec) int { return s.StartSecs })
	integer("startretries", "StartRetries", func(s Spec) int { return s.StartRetries })
	add("backoff", "Backoff", Live, func(s Spec) string { return s.Backoff.String() })
	add("restart_limit", "RestartLimit", Live, func(s Spec) string { return s.RestartLimit.String() })
	add("breaker", "Breaker", Live, func(s Spec) string { return s.Breaker.String() })
	add("stopsignal", "StopSignal", Live, func(s Spec) string { return s.StopSignal.String() })
	integer("stopwaitsecs", "StopWaitSecs", func(s Spec) int { return s.StopWaitSecs })
	add("stop_steps", "StopSteps", Live, func(s Spec) string { return StopStepsText(s.StopSteps) })
	tell := func(what, member string, get func(Spec) TellSpec) {
		add(what+"_signal", member+".Signal", Live, func(s Spec) string {
			if get(s).Signal == 0 {
				return ""
			}
			return get(s).Signal.String()
		})
		add(what+"_command", member+".Command", Live, func(s Spec) string { return get(s).Command })
		add(what+"_timeout", member+".Timeout", Live, func(s Spec) string {
			if get(s).Timeout == Forever {
				return "forever"
			}
			return get(s).Timeout.String()
		})
	}
	tell("drain", "Drain", func(s Spec) TellSpec { return s.Drain })
	tell("reload", "Reload", func(s Spec) TellSpec { return s.Reload })
	hook := func(name, member string, get func(Hooks) HookSpec) {
		add(name, "Hooks."+member+".Command", Live, func(s Spec) string { return get(s.Hooks).Command })
		add(name+"_timeout", "Hooks."+member+".Timeout", Live, func(s Spec) string { return get(s.Hooks).Timeout.String() })
	}
	hook("pre_start", "PreStart", func(h Hooks) HookSpec { return h.PreStart })
	add("pre_start_on_failure", "Hooks.OnPreStart", Live, func(s Spec) string { return s.Hooks.OnPreStart.String() })
	hook("post_ready", "PostReady", func(h Hooks) HookSpec { return h.PostReady })
	add("post_ready_on_failure", "Hooks.OnPostReady", Live, func(s Spec) string { return s.Hooks.OnPostReady.String() })
	hook("pre_stop", "PreStop", func(h Hooks) HookSpec { return h.PreStop })
	hook("post_stop", "PostStop", func(h Hooks) HookSpec { return h.PostStop })
	boolean("stopasgroup", "StopAsGroup", Live, func(s Spec) bool { return s.StopAsGroup })
	boolean("killasgroup", "KillAsGroup", Live, func(s Spec) bool { return s.KillAsGroup })
	// Supervisor compares the list with its order; the order means nothing, so we compare the set (quirk B4).
	add("exitcodes", "ExitCodes", Live, func(s Spec) string {
		codes := slices.Compact(slices.Sorted(slices.Values(s.ExitCodes)))
		words := make([]string, len(codes))
		for i, c := range codes {
			words[i] = strconv.Itoa(c)
		}
		return strings.Join(words, ",")
	})
	boolean("stop_tree", "Tree.Stop", Respawn, func(s Spec) bool { return s.Tree.Stop })
	boolean("kill_tree", "Tree.Kill", Respawn, func(s Spec) bool { return s.Tree.Kill })
	add("cgroup", "Tree.Cgroup", Respawn, func(s Spec) string { return s.Tree.Cgroup.String() })
	limit := func(name, member string, get func(TreeSpec) int64) {
		add(name, member, Respawn, func(s Spec) string { return strconv.FormatInt(get(s.Tree), 10) })
	}
	limit("memory_max", "Tree.MemoryMax", func(t TreeSpec) int64 { return t.MemoryMax })
	add("cpu_max", "Tree.CPUMax", Respawn, func(s Spec) string { return strconv.FormatFloat(float64(s.Tree.CPUMax)/1000, 'f', -1, 64) })
	limit("pids_max", "Tree.PidsMax", func(t TreeSpec) int64 { return int64(t.PidsMax) })
	// Where nothing is asked, how it would be done does not differ from what holds when something is.
	check := func(name, member string, plain Check, is func(Health) Check) {
		get := func(h Health) Check {
			if c := is(h); c != (Check{}) {
				return c
			}
			return plain
		}
		add(name, member+".Target", Live, func(s Spec) string { return get(s.Health).String() })
		add(name+"_period", member+".Period", Live, func(s Spec) string { return Span(get(s.Health).Period) })
		add(name+"_timeout", member+".Timeout", Live, func(s Spec) string { return Span(get(s.Health).Timeout) })
		if name == "ready" {
			integer(name+"_successes", member+".Successes", func(s Spec) int { return get(s.Health).Successes })
		}
		integer(name+"_failures", member+".Failures", func(s Spec) int { return get(s.Health).Failures })
	}
	check("ready", "Health.Ready", DefaultReady, func(h Health) Check { return h.Ready })
	add("ready_wait", "Health.ReadyWait", Live, func(s Spec) string { return Span(cmp.Or(s.Health.ReadyWait, DefaultReadyWait)) })
	check("alive", "Health.Alive", DefaultAlive, func(h Health) Check { return h.Alive })
	add("alive_action", "Health.AliveAction", Live, func(s Spec) string { return s.Health.AliveAction.String() })
	add("depends_on", "DependsOn", Live, func(s Spec) string { return DependsText(s.DependsOn) })
	add("essential", "Essential", Live, func(s Spec) string { return s.Essential.String() })
	add("roll_max_unavailable", "Roll.MaxUnavailable", Live, func(s Spec) string {
		if s.Roll.MaxUnavailable == (Share{}) {
			return "1"
		}
		return s.Roll.MaxUnavailable.String()
	})
	add("roll_surge", "Roll.Surge", Live, func(s Spec) string { return s.Roll.Surge.String() })
	integer("roll_canary", "Roll.Canary", func(s Spec) int { return s.Roll.Canary })
	add("roll_steady", "Roll.Steady", Live, func(s Spec) string { return Span(s.Roll.Steady) })
	add("roll_on_failure", "Roll.OnFailure", Live, func(s Spec) string { return s.Roll.OnFailure.String() })
	boolean("redirect_stderr", "RedirectStderr", Respawn, func(s Spec) bool { return s.RedirectStderr })
	for _, ch := range []struct {
		prefix, member string
		get            func(Spec) LogSpec
	}{
		{"stdout", "Stdout", func(s Spec) LogSpec { return s.Stdout }},
		{"stderr", "Stderr", func(s Spec) LogSpec { return s.Stderr }},
	} {
		get := ch.get
		rows = append(rows, Field{
			Name: ch.prefix + "_logfile", Member: ch.member + ".File", Class: Live,
			Text: func(s Spec) string { return get(s).File.String() },
			// compat: a target that becomes AUTO is not seen as a change, the running file stays (quirk B1).
			Equal: func(a, n Spec) bool { return get(n).File.Kind == LogAuto || get(a).File == get(n).File },
		})
		add(ch.prefix+"_logfile_maxbytes", ch.member+".MaxBytes", Live, func(s Spec) string { return strconv.FormatInt(get(s).MaxBytes, 10) })
		integer(ch.prefix+"_logfile_backups", ch.member+".Backups", func(s Spec) int { return get(s).Backups })
		add(ch.prefix+"_capture_maxbytes", ch.member+".CaptureMaxBytes", Live, func(s Spec) string { return strconv.FormatInt(get(s).CaptureMaxBytes, 10) })
		boolean(ch.prefix+"_events_enabled", ch.member+".EventsEnabled", Live, func(s Spec) bool { return get(s).EventsEnabled })
		boolean(ch.prefix+"_syslog", ch.member+".Syslog", Live, func(s Spec) bool { return get(s).Syslog })
	}
	add("socket", "Socket.URL", GroupWide, func(s Spec) string { return s.Socket.URL })
	// compat: whatever else there is to a socket is not seen as a change (quirk B2).
	unseen := func(name, member string, get func(SocketSpec) int, base int) {
		add(name, member, GroupWide, func(s Spec) string { return strconv.FormatInt(int64(get(s.Socket)), base) })
		rows[len(rows)-1].Unseen = true
	}
	unseen("socket_backlog", "Socket.Backlog", func(s SocketSpec) int { return s.Backlog }, 10)
	unseen("socket_mode", "Socket.Mode", func(s SocketSpec) int { return s.Mode }, 8)
	unseen("socket_owner", "Socket.UID", func(s SocketSpec) int { return s.UID }, 10)
	unseen("socket_owner", "Socket.GID", func(s SocketSpec) int { return s.GID }, 10)
	add("sockets", "Sockets", Respawn, func(s Spec) string {
		words := make([]string, len(s.Sockets))
		for i, n := range s.Sockets {
			words[i] = n.String()
		}
		return strings.Join(words, ", ")
	})
	add("environment", "Environment", Respawn, func(s Spec) string {
		words := make([]string, len(s.Environment))
		for i, e := range s.Environment {
			words[i] = e.Key + "=" + strconv.Quote(e.Value)
		}
		return strings.Join(words, ",")
	})
	add("environment_file", "EnvironmentFiles", Respawn, func(s Spec) string { return strings.Join(s.EnvironmentFiles, ", ") })
	add("secret_files", "Secrets", Respawn, func(s Spec) string { return SecretsText(s.Secrets) })
	add("serverurl", "ServerURL", Respawn, func(s Spec) string { return s.ServerURL })
	return rows
}

// Changes returns every row in which next differs from active: also those that Supervisor's comparison passes over (quirks B1, B2).
func Changes(active, next Spec) []Field {
	var out []Field
	for _, f := range Fields {
		if f.Text(active) != f.Text(next) {
			out = append(out, f)
		}
	}
	return out
}

// Diff returns the rows in which next differs from active, as far as Supervisor would see it.
func Diff(active, next Spec) []Field {
	var out []Field
	for _, f := range Fields {
		if !f.Unseen && !f.Equal(active, next) {
			out = append(out, f)
		}
	}
	return out
}
