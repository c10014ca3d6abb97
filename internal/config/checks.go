package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/shlex"
)

// The kinds of warnings that only Check has.
const (
	WarnPlace         Code = "W103" // [supervisorctl] where no client looks
	WarnRange         Code = "W117" // umask or priority that does not do what it seems to
	WarnQuoting       Code = "W118" // a quote of a command never closes
	WarnSwallowed     Code = "W123" // an indented option or header is part of the value before it
	WarnExecutable    Code = "W130" // a command that cannot be started
	WarnDirectory     Code = "W131" // a program's directory that is not there
	WarnLog           Code = "W132" // a log that cannot be written, or that two outputs rotate
	WarnEnvironFile   Code = "W136" // an environment file, or that of a secret, that is not there
	WarnLongPath      Code = "W137" // a path that is too long for a socket
	WarnSectionTwice  Code = "W140"
	WarnKeyTwice      Code = "W141"
	WarnAddress       Code = "W145" // two that listen at one address
	WarnFewPids       Code = "W146" // a pids_max that a process with sockets does not get through
	WarnUnusedSocket  Code = "W147" // a socket that no program names
	WarnWideRoll      Code = "W148" // a roll of more processes than there are
	WarnNothing       Code = "W149" // a number or a time with which nothing happens
	WarnOpenServer    Code = "W150" // other machines may control every program
	WarnReadable      Code = "W151" // everybody can read a password
	WarnSocketMode    Code = "W152" // every user may control every program
	WarnMany          Code = "W154" // more processes than there are on purpose
	WarnShownSecret   Code = "W155" // a secret in a command or a URL
	WarnAbsurd        Code = "W156" // a number that cannot be meant
	WarnShell         Code = "W157" // something that only a shell understands
	WarnElsewhere     Code = "W158" // clients look where no server listens
	WarnSystemd       Code = "W160" // systemd kills the daemon before it would kill a program
	WarnEndlessStarts Code = "W161" // startsecs=0 with autorestart, and nothing that says whether it works
	WarnNoTries       Code = "W167" // a negative startretries without backoff
	WarnBlindBreaker  Code = "W168" // a breaker with startsecs=0
	WarnDeafListener  Code = "W171" // a listener that is not restarted
	WarnNeverDone     Code = "W182" // a program that never completes
	WarnNotStarted    Code = "W183" // a dependency that does not start by itself
)

// lookFurther looks at what Load does not care for.
func (c *checker) lookFurther() {
	for _, sec := range c.table.sections {
		c.lookTwice(sec)
		c.lookSwallowed(sec)
	}
	c.lookReadable()
	if sec, ok := c.table.index["supervisorctl"]; ok && sec.file != c.named {
		c.warnAt(WarnPlace, sec, nil, c.header(sec.file, sec.line, false), "[supervisorctl] stands in an included file, and clients read the main file alone",
			"move it to "+c.named)
	}
	for _, s := range c.config.Servers {
		c.lookServer(s)
	}
	c.lookProcesses()
	c.lookSockets()
	c.lookAddresses()
	c.lookClient()
	c.lookCounts()
	c.lookDaemonNumbers()
	c.lookGroupNumbers()
	c.lookSecrets()
	c.lookShell()
	c.lookDepends()
}

// warnAt adds a warning at a place of a section, or of an option.
func (c *checker) warnAt(code Code, sec *section, e *entry, at Place, title, label string, notes ...string) {
	f := Finding{Severity: SeverityWarning, Code: code, Section: sec.name, Place: at, Title: title, Notes: notes}
	f.Label = label
	if e != nil {
		f.Key = e.key
	}
	c.add(f)
}

// lookTwice reports sections and options that appear more than once.
func (c *checker) lookTwice(sec *section) {
	for _, key := range sec.order {
		for e := sec.own[key]; e.older != nil; e = e.older {
			if e.older.block != e.block || e.inherited {
				continue
			}
			at := c.key(e.older)
			f := Finding{Severity: SeverityWarning, Code: WarnKeyTwice, Section: sec.name, Key: key, Place: at,
				Title: key + " is set twice in [" + sec.name + "], the later value wins"}
			f.Label = "not used"
			later := c.key(e)
			later.Label = "used"
			f.Related = []Place{later}
			c.add(f)
		}
	}
	if len(sec.again) == 0 {
		return
	}
	f := Finding{Severity: SeverityWarning, Code: WarnSectionTwice, Section: sec.name, Place: c.header(sec.file, sec.line, false),
		Title: "[" + sec.name + "] is defined " + times(len(sec.again)+1) + ", later values win (as in Supervisor)"}
	for _, o := range sec.again {
		p := c.header(o.File, o.Line, false)
		p.Label = "again"
		f.Related = append(f.Related, p)
	}
	for _, key := range sec.order {
		for e := sec.own[key]; e.older != nil; e = e.older {
			if e.older.block == e.block || e.inherited {
				continue
			}
			note := fmt.Sprintf("%s: %s:%d is overridden by %s:%d", key, e.older.file, e.older.line, e.file, e.line)
			if !e.secret() && !e.older.secret() {
				note = fmt.Sprintf("%s: %s (%s:%d) is overridden by %s (%s:%d)", key, shown(e.older.value), e.older.file, e.older.line, shown(e.value), e.file, e.line)
			}
			f.Notes = append(f.Notes, note)
		}
	}
	c.add(f)
}

func times(n int) string {
	if n == 2 {
		return "twice"
	}
	return strconv.Itoa(n) + " times"
}

// lookSwallowed reports indented lines that look like an option or a header, and are part of the value before them.
func (c *checker) lookSwallowed(sec *section) {
	kind, known := kindOf(sec.name)
	if !known || kind.open {
		return
	}
	for _, key := range sec.order {
		e := sec.own[key]
		if e.inherited || len(e.more) == 0 || key == "environment" {
			continue
		}
		offset := 0
		for i, part := range strings.Split(e.value, "\n") {
			word := part
			if delim := strings.IndexAny(part, "=:"); delim >= 0 {
				word = lower(strings.TrimRightFunc(part[:delim], isSpace))
			}
			_, isHeader := kindOf(strings.Trim(part, "[]"))
			isHeader = isHeader && strings.HasPrefix(part, "[") && strings.HasSuffix(part, "]")
			if i > 0 && (isHeader || word != part && slices.Contains(kind.keys, word)) {
				what := word
				if isHeader {
					what = part
				}
				c.warnAt(WarnSwallowed, sec, e, c.span(e, offset, len(part)), "the indented line "+what+" is part of the value of "+key,
					"remove the blanks before it, if it is to be read")
			}
			offset += len(part) + 1
		}
	}
}

// lookReadable reports files in which everybody can read a password, each once.
func (c *checker) lookReadable() {
	seen := map[string]bool{}
	for _, sec := range c.table.sections {
		e, ok := sec.own["password"]
		if _, known := kindOf(sec.name); !ok || !known || e.inherited || e.value == "" || strings.HasPrefix(e.value, "{SHA}") || seen[e.file] {
			continue
		}
		seen[e.file] = true
		if info, err := c.stat(join(c.m.Dir, e.file)); err == nil && info.Mode&0o004 != 0 {
			c.warnAt(WarnReadable, sec, e, c.key(e), "every user of this machine can read the password in "+e.file, fmt.Sprintf("the file has the mode %04o; make it 0640 or less", info.Mode))
		}
	}
}

// lookServer reports servers that let in more than is wise.
func (c *checker) lookServer(s Server) {
	sec := c.table.index[s.Section]
	if s.Kind == ServerInet {
		e, ok := c.table.get(sec, "port")
		if ok && strings.ContainsAny(s.Host, "/ \t\"'@") {
			f := Finding{Severity: SeverityError, Code: BadValue, Section: sec.name, Key: e.key, Place: c.value(e), atStart: true,
				Title: shown(s.Host) + " is no host: the daemon does not start"}
			host := strings.Trim(s.Host[strings.LastIndexAny(s.Host, "/@")+1:], "\"' \t")
			f.Label = "write " + cmp.Or(host, "127.0.0.1") + ":" + strconv.Itoa(s.Port) + " alone"
			c.add(f)
			return
		}
		if ok && s.Open() && s.Port > 0 && s.Host != "localhost" && s.Host != "::1" && s.Host != "[::1]" && !strings.HasPrefix(s.Host, "127.") {
			c.warnAt(WarnOpenServer, sec, e, c.value(e), "other machines can reach this server, and it wants no password",
				"who can connect may start, stop and add programs; write 127.0.0.1:"+strconv.Itoa(s.Port)+", or set username and password")
		}
		return
	}
	e, ok := c.table.get(sec, "chmod")
	if ok && s.Open() && s.Chmod&0o002 != 0 {
		c.warnAt(WarnSocketMode, sec, e, c.value(e), "every user of this machine may write to the socket, and it wants no password",
			"who can write to it may start, stop and add programs; write 0700 or 0770")
	}
}

// fileFact is an answer of Machine.Stat.
type fileFact struct {
	FileInfo
	err error
}

// stat asks the machine once for each path.
func (c *checker) stat(path string) (FileInfo, error) {
	fact, ok := c.stats[path]
	if !ok {
		fact.FileInfo, fact.err = c.m.Stat(path)
		c.stats[path] = fact
	}
	return fact.FileInfo, fact.err
}

// lookProcesses looks at every process that is configured.
func (c *checker) lookProcesses() {
	listeners := slices.ContainsFunc(c.config.Groups, func(g process.GroupSpec) bool { return g.Kind == process.KindEventListener })
	unit, limit := c.systemdLimit()
	logs := logKeeper{checker: c, writers: map[string][]logWriter{}}
	if s := c.config.Supervisord; s.Logfile != "syslog" && s.Logfile != "" {
		if sec, ok := c.table.index["supervisord"]; ok {
			logs.writable(sec, "logfile", s.Logfile)
		}
	}
	seen := map[*section]bool{}
	for _, g := range c.config.Groups {
		if listeners && g.Kind != process.KindEventListener && g.Priority < -1 {
			if sec := c.headers[spot2{g.Origin.File, g.Origin.Line}]; sec != nil {
				if e, ok := c.table.get(sec, "priority"); ok {
					c.warnAt(WarnRange, sec, e, c.value(e), "a priority below -1 starts before the event listeners, which do not hear of it", "listeners have -1 unless they set another")
				}
			}
		}
		for _, p := range g.Processes {
			sec := c.headers[spot2{p.Origin.File, p.Origin.Line}]
			if sec == nil {
				continue
			}
			c.lookCommands(sec, p)
			c.lookEnviron(sec, p)
			logs.look(sec, p, g.Name)
			if seen[sec] {
				continue
			}
			seen[sec] = true
			c.lookOptions(sec, p, g.Kind == process.KindEventListener)
			c.lookTimes(sec, p)
			c.lookNumbers(sec, p)
			c.lookRoll(sec, p, len(g.Processes))
			if limit > 0 {
				c.lookPatience(sec, p, unit, limit)
			}
		}
	}
	logs.shared()
}

// lookEnviron looks whether the environment files of a process are there, and the files of its secrets.
func (c *checker) lookEnviron(sec *section, p process.Spec) {
	for _, s := range p.Secrets {
		if _, err := c.stat(s.Path); errors.Is(err, fs.ErrNotExist) {
			if e, ok := c.table.get(sec, "secret_files"); ok {
				c.warnAt(WarnEnvironFile, sec, e, c.value(e), "there is no file "+s.Path+": a start fails", "create it before the program starts")
			}
		}
	}
	for _, name := range p.EnvironmentFiles {
		if strings.HasPrefix(name, "-") {
			continue
		}
		if _, err := c.stat(name); errors.Is(err, fs.ErrNotExist) {
			if e, ok := c.table.get(sec, "environment_file"); ok {
				c.warnAt(WarnEnvironFile, sec, e, c.value(e), "there is no file "+name+": a start fails", "write - before the name, if it may be missing")
			}
		}
	}
}

// lookPatience looks whether a process has the time to stop before systemd kills it.
func (c *checker) lookPatience(sec *section, p process.Spec, unit string, limit int) {
	patience, ends := p.Patience()
	needs := int(patience / time.Second)
	if needs <= limit && ends {
		return
	}
	plain := p
	plain.Drain, plain.Hooks = process.TellSpec{}, process.Hooks{}
	alone, _ := plain.Patience()
	key, what, needed := "stopwaitsecs", fmt.Sprintf("stopwaitsecs=%d is longer", p.StopWaitSecs), strconv.Itoa(needs+10)
	switch {
	case p.Drain.Endless():
		key, what, needed = "drain_timeout", "drain_timeout=forever may take longer", "infinity"
	case !ends:
		key, what, needed = "stop_steps", "stop_steps without KILL may take longer", "infinity"
	case int(alone/time.Second) <= limit:
		key, what = "", fmt.Sprintf("a stop with what comes before and after it may take %d s, which is longer", needs)
	case len(p.StopSteps) > 0:
		key, what = "stop_steps", fmt.Sprintf("stop_steps take %d s, which is longer", needs)
	}
	at := c.header(sec.file, sec.line, false)
	e, ok := c.table.get(sec, key)
	if ok {
		at = c.value(e)
	}
	c.warnAt(WarnSystemd, sec, e, at, fmt.Sprintf("%s than systemd lets the daemon stop: %d s (%s)", what, limit, unit), "",
		"systemd kills everything then; set TimeoutStopSec="+needed+" in the unit")
}

// lookOptions looks at the options that all processes of a section share.
func (c *checker) lookOptions(sec *section, p process.Spec, listener bool) {
	c.lookEndless(sec, p)
	if e, ok := c.table.get(sec, "startretries"); ok && p.StartRetries < 0 && !p.Backoff.Set() {
		c.warnAt(WarnNoTries, sec, e, c.value(e), "startretries="+strings.TrimSpace(e.value)+" gives up at the first failure, as 0 does",
			"only together with backoff does it never give up: add backoff=1s..30s, or write 0")
	}
	if e, ok := c.table.get(sec, "breaker"); ok && p.Breaker.Count > 0 && p.StartSecs <= 0 {
		c.warnAt(WarnBlindBreaker, sec, e, c.value(e), "with startsecs="+strconv.Itoa(p.StartSecs)+" every process that goes first is RUNNING at once, and closes the breaker",
			"set startsecs to the time after which a start has succeeded")
	}
	if e, ok := c.table.get(sec, "autorestart"); ok && listener && p.Autorestart == process.RestartNever {
		c.warnAt(WarnDeafListener, sec, e, c.value(e), "a listener that ended is not started again, and its events are lost", "remove autorestart, or set it to true")
	}
	if e, ok := c.table.get(sec, "pids_max"); ok && len(p.Sockets) > 0 && p.Tree.PidsMax > 0 && p.Tree.PidsMax < passingPids {
		c.warnAt(WarnFewPids, sec, e, c.value(e), fmt.Sprintf("pids_max=%d may be too little for a process on its way to its sockets", p.Tree.PidsMax),
			fmt.Sprintf("write %d or more", passingPids))
	}
	e, ok := c.table.get(sec, "directory")
	if !ok || p.Directory == "" {
		return
	}
	switch {
	case strings.HasPrefix(p.Directory, "~"):
		c.warnAt(WarnDirectory, sec, e, c.value(e), "~ is not expanded in the directory of a program", "write the whole path, or %(ENV_HOME)s")
	case strings.HasPrefix(p.Directory, `"`) || strings.HasPrefix(p.Directory, "'"):
		c.warnAt(WarnDirectory, sec, e, c.value(e), "the quotes are part of the directory, which is not there: every start fails", "remove the quotes")
	case strings.HasPrefix(p.Directory, "/") && c.noDirectory(p.Directory):
		c.warnAt(WarnDirectory, sec, e, c.value(e), shown(p.Directory)+" is not an existing directory", "every start fails until it is there")
	}
}

// lookEndless looks whether a program that ends at once is never given up. Whoever has said when it is ready sees that it is not.
func (c *checker) lookEndless(sec *section, p process.Spec) {
	e, ok := c.table.get(sec, "startsecs")
	if !ok || !c.endless(p) {
		return
	}
	ends := "fails at once"
	if p.Autorestart == process.RestartAlways {
		ends = "ends at once"
	}
	c.warnAt(WarnEndlessStarts, sec, e, c.value(e), "with startsecs="+strings.TrimSpace(e.value)+" no start fails by ending too soon: a program that "+ends+" is started again for ever, and never FATAL",
		"set startsecs=1; or autorestart=false for a program that runs once", "restart_limit=5/60s gives it up as well, and ready says when it works")
}

// endless reports whether nothing but autorestart decides about a program that ends at once.
func (c *checker) endless(p process.Spec) bool {
	return p.StartSecs <= 0 && p.Autorestart != process.RestartNever && p.RestartLimit.Count == 0 && !p.AsksReady()
}

// noDirectory reports whether a directory is surely not there: what we may not see, the daemon may.
func (c *checker) noDirectory(path string) bool {
	info, err := c.stat(path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !info.Dir
}

// lookRoll looks whether a roll is about more processes than the group has.
func (c *checker) lookRoll(sec *section, p process.Spec, all int) {
	if e, ok := c.table.get(sec, "roll_max_unavailable"); ok && !p.Roll.MaxUnavailable.Percent && p.Roll.MaxUnavailable.N > all {
		c.warnAt(WarnWideRoll, sec, e, c.value(e), fmt.Sprintf("roll_max_unavailable=%s, and there are only %s: all of them may be out of work at a time", p.Roll.MaxUnavailable, processes(all)),
			"write a number below that of the processes, or a share such as 50%%")
	}
	if e, ok := c.table.get(sec, "roll_surge"); ok && !p.Roll.Surge.Percent && p.Roll.Surge.N > all {
		c.warnAt(WarnWideRoll, sec, e, c.value(e), fmt.Sprintf("roll_surge=%s, and there are only %s: there are never more extra ones than that", p.Roll.Surge, processes(all)),
			"write a number up to that of the processes, or a share such as 50%%")
	}
	if e, ok := c.table.get(sec, "roll_canary"); ok && p.Roll.Canary > all {
		c.warnAt(WarnWideRoll, sec, e, c.value(e), fmt.Sprintf("roll_canary=%d, and there are only %s: none is left to follow the first", p.Roll.Canary, processes(all)),
			"write a number below that of the processes, such as 1")
	}
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return strconv.Itoa(n) + " processes"
}

// lookCommands looks for the files that the commands of a process name.
func (c *checker) lookCommands(sec *section, p process.Spec) {
	c.lookCommand(sec, p, "command", p.Command, "start")
	c.lookCommand(sec, p, "drain_command", p.Drain.Command, "call")
	c.lookCommand(sec, p, "reload_command", p.Reload.Command, "call")
	c.lookCommand(sec, p, "pre_start", p.Hooks.PreStart.Command, "start")
	c.lookCommand(sec, p, "post_ready", p.Hooks.PostReady.Command, "call")
	c.lookCommand(sec, p, "pre_stop", p.Hooks.PreStop.Command, "call")
	c.lookCommand(sec, p, "post_stop", p.Hooks.PostStop.Command, "call")
	for key, check := range map[string]process.Check{"ready": p.Health.Ready, "alive": p.Health.Alive} { // the findings are sorted
		if check.Kind == process.CheckExec {
			c.lookCommand(sec, p, key, check.Target, "try")
		}
	}
}

// lookCommand looks for the file that a command names, where the daemon would. fails is what does without it.
func (c *checker) lookCommand(sec *section, p process.Spec, key, command, fails string) {
	e, ok := c.table.get(sec, key)
	if !ok || command == "" && (e.value != "" || key != "command") {
		return // it has an error already, or there is none
	}
	words, err := shlex.Split(command)
	switch {
	case err != nil && e.raw == "" && key == "command": // of the others that is an error
		c.warnOnce(WarnQuoting, sec, e, c.value(e), "a quote in the command never closes", "every start fails")
		return
	case err != nil:
		return // cut at a comment, which is reported
	case len(words) == 0:
		c.warnOnce(WarnExecutable, sec, e, c.value(e), "the command is empty", "every start fails")
		return
	}
	name := words[0]
	file := executable{c, sec, e, c.word(e, name), fails}
	if strings.Contains(name, "/") {
		if strings.HasPrefix(name, "/") { // else it depends on where the daemon is started
			info, err := c.stat(name)
			file.look(name, info, err)
		}
		return
	}
	path, _ := c.m.getenv("PATH")
	if path == "" {
		path = "/bin:/usr/bin:/usr/local/bin"
	}
	for _, v := range p.Environment {
		if v.Key == "PATH" {
			path = v.Value
		}
	}
	for _, dir := range strings.Split(path, ":") {
		full := join(dir, name)
		if info, err := c.stat(full); err == nil {
			file.look(full, info, nil)
			return
		}
	}
	if slices.Contains(shellCommands, name) || strings.Contains(name, "=") {
		return // lookShell says more
	}
	file.warn(shown(name)+" is in no directory of PATH", "searched: "+shown(path))
}

// executable is the file of a command.
type executable struct {
	*checker
	sec   *section
	e     *entry
	at    Place
	fails string // what does without it
}

func (x executable) warn(title, label string, notes ...string) {
	x.warnOnce(WarnExecutable, x.sec, x.e, x.at, title, label, notes...)
}

// look judges what was found at a path.
func (x executable) look(path string, info FileInfo, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		var notes []string
		if names, err := x.m.ReadDir(dirname(path)); err == nil {
			slices.Sort(names)
			if near := nearest(path[strings.LastIndexByte(path, '/')+1:], names); near != "" {
				notes = append(notes, "close: "+join(dirname(path), near))
			}
		}
		x.warn(path+": no such file", "every "+x.fails+" fails until it is there", notes...)
	case err != nil: // what we may not see, the daemon may
	case info.Dir:
		x.warn(path+" is a directory", "every "+x.fails+" fails")
	case info.Mode&0o111 == 0:
		x.warn(path+" is not executable", fmt.Sprintf("its mode is %04o", info.Mode))
	}
}

// warnOnce is warnAt for what is looked at for each process of a section.
func (c *checker) warnOnce(code Code, sec *section, e *entry, at Place, title, label string, notes ...string) {
	same := func(f Finding) bool {
		return f.Code == code && f.Title == title && f.File == at.File && f.Line == at.Line && f.Col == at.Col
	}
	// Processes of a section come one after the other.
	if n := len(c.report.Findings); slices.ContainsFunc(c.report.Findings[max(0, n-8):], same) {
		return
	}
	c.warnAt(code, sec, e, at, title, label, notes...)
}

// logWriter is an output of a process that goes to a log.
type logWriter struct {
	sec     *section
	e       *entry // the option that names the log
	process string // group:name
	rotates bool
}

// logKeeper looks at the logs of all processes.
type logKeeper struct {
	*checker
	writers map[string][]logWriter // by path
	paths   []string               // in the order they came up
}

// look takes the logs of a process.
func (k *logKeeper) look(sec *section, p process.Spec, group string) {
	for _, out := range []struct {
		key  string
		spec process.LogSpec
	}{{"stdout_logfile", p.Stdout}, {"stderr_logfile", p.Stderr}} {
		e, ok := k.table.get(sec, out.key)
		if !ok || out.spec.File.Kind != process.LogPath || out.spec.File.Path == "" {
			continue
		}
		path := k.m.abspath(out.spec.File.Path)
		if strings.HasPrefix(path, "/dev/") {
			continue
		}
		k.writable(sec, e.key, path)
		if k.writers[path] == nil {
			k.paths = append(k.paths, path)
		}
		k.writers[path] = append(k.writers[path], logWriter{sec, e, group + ":" + p.Name, out.spec.MaxBytes > 0})
	}
}

// shared reports logs that have several writers, each once. Where nobody rotates it they only add to its end.
func (k *logKeeper) shared() {
	for _, path := range k.paths {
		writers := k.writers[path]
		if len(writers) < 2 || !slices.ContainsFunc(writers, func(w logWriter) bool { return w.rotates }) {
			continue
		}
		first, names, others := writers[0], []string(nil), []Place(nil)
		seenName, seenEntry := map[string]bool{}, map[*entry]bool{first.e: true}
		for _, w := range writers {
			if !seenName[w.process] {
				seenName[w.process] = true
				names = append(names, w.process)
			}
			if !seenEntry[w.e] {
				seenEntry[w.e] = true
				others = append(others, k.value(w.e))
			}
		}
		who := names[0] + " and " + names[len(names)-1]
		if len(names) > 2 {
			who = fmt.Sprintf("%s and %d others", names[0], len(names)-1)
		}
		f := Finding{Severity: SeverityWarning, Code: WarnLog, Section: first.sec.name, Key: first.e.key, Place: k.value(first.e), Title: who + " write to one log, " + path}
		f.Label = "each rotates it under the others; give them files of their own"
		switch {
		case len(names) == 1:
			f.Title, f.Label = "standard output and error of "+names[0]+" write to one log, "+path, "set redirect_stderr=true instead of a second file"
		case len(others) == 0:
			f.Notes = []string{"%(process_num)d in the name tells the processes of a program apart"}
		}
		for _, p := range others {
			p.Label = "here too"
			f.Related = append(f.Related, p)
		}
		k.add(f)
	}
}

// writable reports a log that the daemon's user surely cannot write.
func (k *logKeeper) writable(sec *section, key, path string) {
	e, ok := k.table.get(sec, key)
	if !ok {
		return
	}
	uid, gid := k.m.UID, -1
	if s := k.config.Supervisord; s.UID != process.UnsetID {
		uid, gid = s.UID, s.GID
	}
	info, err := k.stat(path)
	what := path
	if err != nil {
		what = dirname(path)
		if info, err = k.stat(what); err != nil {
			return
		}
	} else if info.Dir {
		k.warnOnce(WarnLog, sec, e, k.value(e), path+" is a directory", "name a file")
		return
	}
	if !mayWrite(info, uid, gid) {
		k.warnOnce(WarnLog, sec, e, k.value(e), "the daemon cannot write to "+what, fmt.Sprintf("it runs as uid %d; %s belongs to uid %d and has the mode %04o", uid, what, info.UID, info.Mode))
	}
}

// mayWrite reports whether a user may write; in doubt about groups it says yes.
func mayWrite(info FileInfo, uid, gid int) bool {
	switch {
	case uid == 0:
		return true
	case info.UID == uid:
		return info.Mode&0o200 != 0
	case info.GID == gid:
		return info.Mode&0o020 != 0
	}
	return info.Mode&0o022 != 0
}

// unitFiles are where systemd looks for the unit of the daemon, the strongest place first.
var unitFiles = []string{
	"/etc/systemd/system/graced.service", "/run/systemd/system/graced.service", "/usr/lib/systemd/system/graced.service", "/lib/systemd/system/graced.service",
}

// systemdLimit returns how long systemd lets the daemon stop, in seconds, and the file that says so; 0 = no unit, or no limit.
func (c *checker) systemdLimit() (unit string, seconds int) {
	for _, unit := range unitFiles {
		data, err := c.m.ReadFile(unit)
		if err != nil {
			continue
		}
		seconds := 90 // systemd's own default
		for line := range strings.Lines(string(data)) {
			key, v, ok := strings.Cut(line, "=")
			if k := strings.TrimSpace(key); ok && (k == "TimeoutStopSec" || k == "TimeoutSec") {
				seconds = parseSpan(strings.TrimSpace(v))
			}
		}
		return unit, seconds
	}
	return "", 0
}

// parseSpan reads a span of time as systemd writes it, "90", "5min 20s", in seconds; 0 = infinity, or something we do not know.
func parseSpan(s string) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	total := 0
	for s = strings.ReplaceAll(s, " ", ""); s != ""; {
		digits := strings.IndexFunc(s, isNoDigit)
		if digits <= 0 {
			return 0
		}
		n, err := strconv.Atoi(s[:digits])
		if err != nil {
			return 0
		}
		s = s[digits:]
		unit := s
		if end := strings.IndexFunc(s, func(r rune) bool { return !isNoDigit(r) }); end >= 0 {
			unit = s[:end]
		}
		s = s[len(unit):]
		factor, ok := map[string]int{"s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60, "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600}[unit]
		if !ok {
			return 0
		}
		total += n * factor
	}
	return total
}
