package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/shlex"
)

// maxProcesses bounds numprocs. The reference has no bound and would fill the memory for a mistyped number. It holds up to three
// descriptors for each process, of which Linux gives a process a million, and asks all of them in each turn: nobody has so many.
const maxProcesses = 100_000

// processes returns the processes that a [program:x] section defines as members of a group, sorted by name: they have one priority.
// Errors carry the section and its file, as the reference appends them.
func (l *loader) processes(sec *section, group string) ([]process.Spec, error) {
	p := &programReader{reader: l.reader(sec, newScope(l.envNames)), group: group}
	specs := p.read()
	if p.err != nil {
		return nil, p.err.in(sec)
	}
	slices.SortStableFunc(specs, func(a, b process.Spec) int { return strings.Compare(a.Name, b.Name) })
	return specs, nil
}

// in returns an error with its section and its file, as the reference appends them.
func (e *Error) in(sec *section) *Error {
	out := *e
	out.Cause = cmp.Or(e.Cause, e.Text)
	out.Text += fmt.Sprintf(" in section %s (file: %s)", repr(sec.name), repr(sec.file))
	return &out
}

// programReader reads one [program:x] section: first what all its processes share, then, per process, what may differ (contract:
// config, "Expansion").
type programReader struct {
	*reader
	group string

	program         string // its name
	numprocs, first int
	nameFormat      string
}

func (p *programReader) read() []process.Spec {
	spec := p.shared()
	if p.err != nil {
		return nil
	}
	if p.numprocs > maxProcesses {
		p.refuse(BadValue, "numprocs", fmt.Sprintf("numprocs value %d is too large", p.numprocs), fmt.Sprintf("at most %d", maxProcesses))
		return nil
	}
	nums := p.numsOf()
	specs := slices.Grow([]process.Spec(nil), len(nums))
	for _, num := range nums {
		s := p.single(spec, num)
		if p.err != nil {
			return nil
		}
		specs = append(specs, s)
		if p.failed {
			break // the others would fail alike
		}
	}
	return specs
}

// shared reads the options that are expanded once for all processes of the section, in the order of the reference.
func (p *programReader) shared() process.Spec {
	_, title, _ := strings.Cut(p.sec.name, ":")
	name, err := parseName(title)
	if err != nil {
		p.refuse(BadName, "", err.Error(), "rename the program")
	}
	p.program = name
	p.scope.names["here"] = textValue(p.here)
	p.scope.names["program_name"] = textValue(name)
	p.scope.names["host_node_name"] = textValue(p.m.Hostname)
	p.scope.names["group_name"] = textValue(p.group)

	s := process.Spec{Program: name, UID: process.UnsetID, Origin: process.Origin{File: p.sec.file, Line: p.sec.line}}
	s.Priority = p.int("priority", 999)
	s.Autostart = p.bool("autostart", true)
	s.Autorestart = read(p.reader, "autorestart", process.RestartUnexpected, ParseAutorestart)
	s.StartSecs = p.int("startsecs", 1)
	s.StartRetries = p.int("startretries", 3)
	s.Backoff = read(p.reader, "backoff", process.BackoffSpec{}, ParseBackoff)
	s.RestartLimit = read(p.reader, "restart_limit", process.Rate{}, ParseRate)
	s.Breaker = read(p.reader, "breaker", process.Rate{}, ParseRate)
	s.StopSignal = read(p.reader, "stopsignal", process.SIGTERM, p.stopSignal)
	s.StopWaitSecs = p.int("stopwaitsecs", 10)
	s.StopSteps = read(p.reader, "stop_steps", nil, parseStopSteps)
	if !p.listener() {
		p.tell("drain", &s.Drain)
		p.tell("reload", &s.Reload)
		s.Hooks = p.hooks()
	}
	s.StopAsGroup = p.bool("stopasgroup", false)
	s.KillAsGroup = p.bool("killasgroup", s.StopAsGroup)
	s.ExitCodes = read(p.reader, "exitcodes", []int{0}, ParseExitCodes)
	s.RedirectStderr = p.bool("redirect_stderr", false)
	p.numprocs = p.count()
	p.first = p.int("numprocs_start", 0)
	if nums, ok := p.scaled[name]; ok {
		p.numprocs = len(nums)
	}
	s.Stdout.CaptureMaxBytes = p.bytes("stdout_capture_maxbytes", 0)
	s.Stdout.EventsEnabled = p.bool("stdout_events_enabled", false)
	s.Stderr.CaptureMaxBytes = p.bytes("stderr_capture_maxbytes", 0)
	s.Stderr.EventsEnabled = p.bool("stderr_events_enabled", false)
	s.ServerURL = p.string("serverurl", process.ServerURLAuto)
	if strings.EqualFold(strip(s.ServerURL), process.ServerURLAuto) {
		s.ServerURL = process.ServerURLAuto
	}
	s.UID = read(p.reader, "user", process.UnsetID, func(name string) (int, error) {
		u, err := p.m.lookupUser(name)
		return u.UID, err
	})
	s.Umask = read(p.reader, "umask", process.UnsetMask, func(text string) (int, error) {
		mask, err := ParseOctal(text)
		if mask < 0 {
			mask &= 0o777 // umask(2) looks at these bits alone; a negative Umask would mean "unset"
		}
		return mask, err
	})

	s.DependsOn = read(p.reader, "depends_on", nil, ParseDepends)
	s.Essential = read(p.reader, "essential", process.EssentialNot, parseEssential)
	s.Tree = p.tree()
	if !p.listener() {
		s.Health, s.Roll = p.health(), p.roll()
	}

	p.nameFormat = "%(program_name)s"
	if e, ok := p.raw("process_name"); ok {
		if name, err := parseName(e.value); err != nil {
			p.fail(e.fail(p.sec, err))
		} else {
			p.nameFormat = name
		}
	}
	if p.numprocs > 1 && !strings.Contains(p.nameFormat, "%(process_num)") {
		key := "process_name"
		if _, set := p.raw(key); !set {
			key = "numprocs"
		}
		p.refuse(NameTemplate, key, "%(process_num) must be present within process_name when numprocs > 1",
			"write process_name=%(program_name)s_%(process_num)02d")
	}
	if s.Roll.Surge.N > 0 && !strings.Contains(p.nameFormat, "%(process_num)") {
		p.refuse(NameTemplate, "roll_surge", "%(process_num) must be present within process_name when roll_surge > 0: the extra process needs a name of its own",
			"write process_name=%(program_name)s_%(process_num)d")
	}
	if s.StopAsGroup && !s.KillAsGroup {
		p.refuse(KillAsGroup, "killasgroup", "Cannot set stopasgroup=true and killasgroup=false", "remove killasgroup")
	}
	return s
}

// environFiles reads the names of environment files.
func (p *programReader) environFiles(text string) ([]string, error) {
	items, err := namesOf("environment_file", "name", text)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, item := range items {
		name, optional := strings.CutPrefix(item, "-")
		if name = strip(name); name == "" {
			return nil, &valueError{"invalid 'environment_file' value " + repr(text), "write paths with commas between"}
		}
		if name = p.m.normalize(name); optional {
			name = "-" + name
		}
		files = append(files, name)
	}
	return files, nil
}

// listener reports whether the section is that of an event listener, which has no checks and is not told anything.
func (p *programReader) listener() bool { return strings.HasPrefix(p.sec.name, "eventlistener:") }

// tell reads how a process is told something, apart from the command.
func (p *programReader) tell(what string, t *process.TellSpec) {
	t.Signal = read(p.reader, what+"_signal", 0, func(word string) (process.Signal, error) { return parseCue(what+"_signal", word) })
	most := duration
	if what == "drain" {
		most = durationOrForever
	}
	t.Timeout = read(p.reader, what+"_timeout", 30*time.Second, most)
	key := what + "_command"
	if e, ok := p.raw(key); ok && e.value != "" && t.Signal != 0 {
		p.refuse(ToldTwice, key, "Cannot set both "+what+"_signal and "+key, "remove one of them: a command can send the signal to $GRACED_PID")
	}
}

// tellCommand reads the command.
func (p *programReader) tellCommand(what string, t *process.TellSpec) {
	t.Command = p.commandOf(what + "_command")
}

// commandOf reads a command besides that of the process; "" is none.
func (p *programReader) commandOf(key string) string {
	command, e, ok := p.text(key)
	if !ok {
		return ""
	}
	p.checkCut(e)
	if openQuote(command) {
		p.refuse(BadQuoting, key, "a quote of "+key+" never closes: "+repr(command), "close it")
	}
	return command
}

// tree reads the options about all that a process starts, which Supervisor does not know.
func (p *programReader) tree() (t process.TreeSpec) {
	t.Stop = p.bool("stop_tree", false)
	t.Kill = p.bool("kill_tree", t.Stop)
	t.Cgroup = read(p.reader, "cgroup", process.CgroupAuto, parseCgroupUse)
	t.MemoryMax = read(p.reader, "memory_max", 0, func(s string) (int64, error) { return notNegative("memory_max", s, ParseByteSize) })
	t.CPUMax = read(p.reader, "cpu_max", 0, parseCPUs)
	t.PidsMax = read(p.reader, "pids_max", 0, func(s string) (int, error) { return notNegative("pids_max", s, ParseInt) })
	return t
}

// single reads the options that are expanded for each process.
func (p *programReader) single(s process.Spec, num int) process.Spec {
	s.Num = num
	p.scope.names["process_num"] = numValue(int64(num))
	p.scope.names["numprocs"] = numValue(int64(p.numprocs))
	// compat: names from the environment of an earlier process stay, unless the daemon's environment has them too.
	maps.DeleteFunc(p.scope.names, func(name string, _ value) bool {
		_, inherited := p.envNames.names[name]
		return inherited
	})
	env := p.ownEnvironment()
	for k, v := range env {
		p.scope.names["ENV_"+k] = textValue(v)
	}
	s.Directory = p.string("directory", "")
	s.EnvironmentFiles = read(p.reader, "environment_file", nil, p.environFiles)
	s.Secrets = read(p.reader, "secret_files", nil, p.secretFiles)
	if !p.listener() {
		s.Sockets = read(p.reader, "sockets", nil, p.socketsNamed)
	}
	stdout := p.log(&s.Stdout, "stdout")
	stderr := p.log(&s.Stderr, "stderr")
	s.Stdout.File = stdout
	s.Stderr.File = stderr
	if s.RedirectStderr {
		if stderr.Kind == process.LogPath {
			p.warn(IgnoredStderr, LevelWarn, p.origin("stderr_logfile"), fmt.Sprintf("For [%s], redirect_stderr=true but stderr_logfile "+
				"has also been set to a filename, the filename has been ignored", p.sec.name))
		}
		s.Stderr.File = process.LogTarget{Kind: process.LogNone}
	}
	if !p.listener() {
		s.Health = p.checks(s.Health)
	}
	command, e, ok := p.text("command")
	if ok {
		p.checkCut(e)
	} else {
		p.refuse(Missing, "command", "program section "+p.sec.name+" does not specify a command", "add command=/path/to/program")
	}
	s.Command = command
	if !p.listener() {
		p.tellCommand("drain", &s.Drain)
		p.tellCommand("reload", &s.Reload)
		p.hookCommands(&s.Hooks)
	}
	if s.Name = p.processName(); s.Name == "" && p.failed {
		s.Name = fmt.Sprintf("%s#%d", p.sec.name, num) // no process is called so
	}

	merged := maps.Clone(p.loader.environment)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, env)
	s.Environment = environList(merged)
	s.ExitCodes = slices.Clone(s.ExitCodes)
	return s
}

// ownEnvironment reads the program's environment. Error texts name it without its section, as the reference's.
func (p *programReader) ownEnvironment() map[string]string {
	e, ok := p.raw("environment")
	if !ok {
		return nil
	}
	text, err := p.scope.expand(e.value, e.here, "environment")
	if err != nil {
		p.fail(e.fail(p.sec, err))
		return nil
	}
	return p.environment(text, e)
}

// processName expands process_name. The expanded name must be as clean as a written one (quirk A14).
func (p *programReader) processName() string {
	e, ok := p.raw("process_name")
	if !ok {
		e = &entry{key: "process_name", value: p.nameFormat, file: p.sec.file, line: p.sec.line}
	}
	if p.err != nil {
		return ""
	}
	name, err := p.scope.expand(p.nameFormat, e.here, "process_name")
	if err == nil {
		name, err = parseName(name)
	}
	if err != nil {
		p.fail(e.fail(p.sec, err))
	}
	return name
}

// log reads the options of one output channel and returns its file.
func (p *programReader) log(spec *process.LogSpec, channel string) process.LogTarget {
	key := channel + "_logfile"
	target, syslog := process.LogTarget{Kind: process.LogAuto}, false
	if text, e, ok := p.text(key); ok {
		// compat: a log file's name is expanded twice, so a literal percent sign is written %%%% (quirk A3).
		text, err := p.scope.expand(text, "", key)
		if err == nil {
			target, syslog, err = p.m.parseLogTarget(text)
		}
		if err != nil {
			p.fail(e.fail(p.sec, err))
		}
	}
	spec.Backups = p.int(key+"_backups", 10)
	spec.MaxBytes = p.bytes(key+"_maxbytes", 50<<20)
	spec.Syslog = p.bool(channel+"_syslog", false)
	if p.err != nil {
		return target
	}
	if syslog {
		spec.Syslog = true
		p.warn(SyslogLogfile, LevelWarn, p.origin(key), fmt.Sprintf("For [%s], %s=syslog but this is deprecated and will be removed.  "+
			"Use %s_syslog=true to enable syslog instead.", p.sec.name, key, channel))
	}
	if target.Kind == process.LogAuto && spec.MaxBytes == 0 {
		p.warn(AutoNoRollover, LevelWarn, p.origin(key+"_maxbytes"), fmt.Sprintf("For [%s], AUTO logging used for %s without rollover, "+
			"set maxbytes > 0 to avoid filling up filesystem unintentionally", p.sec.name, key))
	}
	return target
}

// stopSignal reads stopsignal and warns of one that stops nothing (quirk A21).
func (p *programReader) stopSignal(word string) (process.Signal, error) {
	sig, err := ParseSignal(word)
	if err == nil && stopsNothing(word, sig) {
		p.warn(OddSignal, LevelWarn, p.origin("stopsignal"),
			fmt.Sprintf("For [%s], stopsignal=%s is no signal that stops a process", p.sec.name, word))
	}
	return sig, err
}

// checkCut warns of an inline comment that cut a quotation open: the reference cuts there too, but hardly anyone means it (quirk A1).
func (r *reader) checkCut(e *entry) {
	if e.raw != "" && openQuote(e.value) && !openQuote(e.raw) {
		r.warn(CutQuote, LevelWarn, process.Origin{File: e.file, Line: e.line}, fmt.Sprintf("[%s] %s is cut at a comment inside quotes: %s; "+
			"remove the blank before ; or #, or put the command into a script", r.sec.name, e.key, repr(e.value)))
	}
}

func openQuote(s string) bool {
	_, err := shlex.Split(s)
	return errors.Is(err, shlex.ErrNoClosingQuotation)
}

// AddProgram returns the processes of a program that is defined by options instead of a file, as members of a group: what
// twiddler.addProgramToGroup needs (contract: rpc, "twiddler"). there are the groups that it comes to, which it may depend on. The error is an *Error that
// names the main file, as the reference's.
func (c *Config) AddProgram(group, program string, options map[string]string, there []process.GroupSpec) ([]process.Spec, error) {
	sec := newSection("program:"+program, c.loader.named, 0)
	for _, key := range slices.Sorted(maps.Keys(options)) {
		sec.put(&entry{key: lower(key), value: options[key], file: c.loader.named})
	}
	// On a copy: warnings belong to the load, and [DEFAULT] to the files.
	l := *c.loader
	l.table, l.warnings, l.warned = newTable(), nil, map[Warning]bool{}
	specs, err := l.processes(sec, group)
	if err == nil {
		err = l.addable(sec, group, specs, there)
	}
	return specs, err
}

// addable refuses processes that depend on what is not there, or in a circle with what is.
func (l *loader) addable(sec *section, group string, specs []process.Spec, there []process.GroupSpec) error {
	if len(specs) == 0 {
		return nil
	}
	groups := slices.Clone(there)
	if i := slices.IndexFunc(groups, func(g process.GroupSpec) bool { return g.Name == group }); i >= 0 {
		groups[i].Processes = slices.Concat(groups[i].Processes, specs)
	}
	r := l.reader(sec, nil)
	for _, d := range specs[0].DependsOn {
		l.known(r, d, groups)
	}
	if cycle := process.Cycle(groups); cycle != nil {
		r.refuse(DependencyCycle, "depends_on", "programs depend on one another in a circle: "+process.CycleText(cycle), "remove one of these dependencies")
	}
	if r.err != nil {
		return r.err.in(sec)
	}
	return nil
}
