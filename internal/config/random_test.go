package config

import (
	"flag"
	"fmt"
	"maps"
	"math/rand"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var randomConfigs = flag.Int("configs", 500, "how many configurations TestRandomLive makes up")

// values are choices for an option: good ones are taken far more often, so that an error does not hide all the others.
type values struct{ good, bad []string }

func words(good, bad string) values { return values{strings.Split(good, "|"), strings.Split(bad, "|")} }

var (
	someInts     = words("0|1|5|-3|007|1_000| 12 |+4|%(ENV_NUM)s", "x||1.5|0x1|five|%(nope)s|5;6|50%|%(ENV_GREETING)s")
	someBools    = words("true|false|yes|NO|On|off|1|0", "maybe||2|t|%(nope)s|true;false")
	someSizes    = words("0|1024|10KB|2mb|1 GB|-1|%(ENV_NUM)sKB", "1.5MB|1M|TB||x|%(nope)s|10 K B")
	someOctals   = words("022|0|777|0o17|1_2", "8|rwx||0x1|%(nope)s")
	someLogs     = words("/tmp/x.log|x.log|NONE|off|AUTO|syslog|~/x.log|%(here)s/%(program_name)s.log|/tmp/%(process_num)03d|/tmp/50%%%%", "/nonexistent/x|%(nope)s|/tmp/50%%|100%")
	someEnvirons = words(`A=1|A="x y",B=2|A='q',|A=%(here)s|PATH="/a:/b"|A=1;B="2"|A=http://h:80/x|A="",B=`+"''|A=1\n  ,B=2|A=\"50%%\"|N=%(ENV_NUM)s",
		"A|A=|A=1,B|A=b=c|=|A=\"x|%(nope)s|A=a@b|A=5%")
	someServerURLs = words("AUTO|http://h:1||auto |unix:///tmp/%(program_name)s", "%(nope)s|5%")
)

// programChoices has every option of a program. Values on which we differ on purpose are not among them.
var programChoices = map[string]values{
	"command":      words("/bin/a|/bin/a -x 'y z'|%(here)s/a %(program_name)s|/bin/a %(process_num)02d %(numprocs)d|/bin/a ; c|/bin/a 5%%|/bin/a\n  more\n  # no\n  again|%(ENV_GREETING)s", "%(nope)s|100%|%(here|%(program_name)d"),
	"process_name": words("%(program_name)s|%(program_name)s%(process_num)d|%(program_name)s_%(process_num)02d|%(program_name)s-%(host_node_name)s%(process_num)s", "a b|a:b|a/b|%(nope)s"),
	"numprocs":     words("1|2|3|0|-1", "x||1.5|%(process_num)s"), "numprocs_start": someInts, "priority": someInts, "autostart": someBools,
	"autorestart": words("true|false|unexpected|UNEXPECTED|0", "never||%(nope)s"), "startsecs": someInts, "startretries": someInts,
	"exitcodes":  words("0|0,2|2, 0||1,1|255", "256|-1|a|0,|0-2|0 2|%(nope)s"),
	"stopsignal": words("TERM|term|SIGINT|9|usr1|HUP|RTMAX|34|%(ENV_SIG)s", "SIGSIG|35|-1||65|TERMINATE|%(nope)s"), "stopwaitsecs": someInts,
	"stopasgroup": someBools, "killasgroup": someBools, "user": words("nobody|root|0|65534|www-data", "nosuchuser|4242||nobody:nogroup|%(nope)s"),
	"umask": someOctals, "directory": words("/tmp|/nonexistent|%(here)s|~|x/%(group_name)s", "%(nope)s|5%"), "redirect_stderr": someBools,
	"environment": someEnvirons, "serverurl": someServerURLs, "stdout_logfile": someLogs, "stderr_logfile": someLogs, "stdout_logfile_maxbytes": someSizes,
	"stderr_logfile_maxbytes": someSizes, "stdout_logfile_backups": someInts, "stderr_logfile_backups": someInts, "stdout_capture_maxbytes": someSizes,
	"stderr_capture_maxbytes": someSizes, "stdout_events_enabled": someBools, "stderr_events_enabled": someBools, "stdout_syslog": someBools,
	"stderr_syslog": someBools,
}

var supervisordChoices = map[string]values{
	"minfds": someInts, "minprocs": someInts, "directory": words("/tmp|~|%(here)s|.", "/nonexistent||%(nope)s|/etc/passwd"),
	"user": words("nobody|root|0|www-data", "nosuchuser||4242"), "umask": someOctals,
	"logfile": words("/tmp/l|l|~/l|syslog|NONE|%(here)s/l|", "/nonexistent/l|%(nope)s|5%"), "logfile_maxbytes": someSizes, "logfile_backups": someInts,
	"loglevel": words("info|DEBUG|warn|blather|critical", "warning|20||%(nope)s"), "pidfile": words("/tmp/p|p|~/p|", "/nonexistent/p|5%"),
	"identifier": words("x|a b||50%%|%(here)s", "%(nope)s|5%"), "nodaemon": someBools, "silent": someBools,
	"childlogdir": words("/tmp|/var/tmp|%(here)s", "/nonexistent|"), "nocleanup": someBools, "strip_ansi": someBools,
	"environment": words(`G=1|G="x y",H=2|G=%(here)s|ENVNAME='v',`, "G|G=|G=b=c"),
}

var inetChoices = map[string]values{
	"port": words("9001|:9001|*:9001|Host:1|127.0.0.1:65535|%(ENV_NUM)s", "|x|0|h:0|h:|h:65536|%(here)s"), "username": words("u|%(ENV_GREETING)s|", "5%|%(here)s"),
	"password": words("p|{SHA}0|a#b||50%%", "5%|%(nope)s"),
}

var unixChoices = map[string]values{
	"file": words("/tmp/s|s|~/s|%(here)s/s| /tmp//x/../s ", "5%|%(nope)s"), "chmod": someOctals,
	"chown": words("nobody|nobody:nogroup|0:0|root:root", "nosuchuser||nobody:|:0|nobody:nosuchgroup"), "username": words("u|", "5%"), "password": words("p|", "5%"),
}

var listenerChoices = with(programChoices, map[string]values{
	"events":      words("TICK_5|PROCESS_STATE|process_log, TICK_60|EVENT|PROCESS_STATE_EXITED,PROCESS_STATE_FATAL|TICK_5,TICK_5", "|NOPE|TICK_5,|TICK_5 TICK_60|%(nope)s"),
	"buffer_size": words("1|10|100|%(ENV_NUM)s", "0|-1|x||%(program_name)s"), "result_handler": words("supervisor.dispatchers:default_handler", "5%"),
	"redirect_stderr": words("false|0|no", "true|x"),
})

var fcgiChoices = with(programChoices, map[string]values{
	"socket": words("unix:///tmp/%(program_name)s.sock|unix:///tmp/../tmp//f|unix://%(here)s/f|tcp://Host:1|tcp://127.0.0.1:65535",
		"|tcp://h:0|tcp://h:65536|%(nope)s|%(group_name)s"),
	"socket_backlog": words("1|128|65535", "0|65536|x||-1"), "socket_owner": words("nobody|nobody:nogroup|0:0", "nosuchuser||nobody:nosuchgroup"), "socket_mode": someOctals,
})

// with returns choices and more of them, the later ones in place of earlier ones.
func with(choices, more map[string]values) map[string]values {
	out := maps.Clone(choices)
	maps.Copy(out, more)
	return out
}

var groupChoices = map[string]values{"priority": someInts, "programs": words("a|a,b|b, a|b\n  ,c|", "a,nope|nope|,a|a,|a b|%(nope)s")}

// configMaker makes up configurations.
type configMaker struct{ *rand.Rand }

func (m configMaker) pick(of ...string) string { return of[m.Intn(len(of))] }

// section makes up a section: the options of must and about many of the others, except those of never. One of a hundred values is bad,
// times badness.
func (m configMaker) section(header string, choices map[string]values, badness, many int, must, never []string) string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(choices)) {
		if m.Intn(len(choices)) < many && !slices.Contains(never, key) && !slices.Contains(must, key) {
			keys = append(keys, key)
		}
	}
	m.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]%s\n", header, m.pick("", "", "", " ; comment", " junk"))
	for _, key := range append(slices.Clone(must), keys...) {
		value := m.pick(choices[key].good...)
		if m.Intn(100) < badness {
			value = m.pick(choices[key].bad...)
		}
		if m.Intn(8) == 0 {
			key = strings.ToUpper(key)
		}
		b.WriteString(key + m.pick("=", "=", ":", " = ", " : ") + value + m.pick("", "", "", "", " ; said so", "\t# x", "  ") + "\n")
		if m.Intn(12) == 0 {
			b.WriteString(m.pick("\n", "# comment\n", "  ; comment\n", "nosuch=%(x)s\n", "\n\n"))
		}
	}
	return b.String()
}

// config makes up a configuration, some with an included file. Half of them have bad values.
func (m configMaker) config() *snippet {
	badness := m.Intn(2) * 4
	sections := []string{m.section("supervisord", supervisordChoices, badness, m.Intn(6), nil, nil)}
	for _, name := range []string{"a", "b", "c"}[:1+m.Intn(3)] {
		// Many processes need their number in their name: left to chance, little else would ever be looked at.
		never := []string{"numprocs", "process_name"}
		if m.Intn(3) == 0 {
			never = nil
		}
		sections = append(sections, m.section("program:"+name, programChoices, badness, m.Intn(12), []string{"command"}, never))
	}
	if m.Intn(4) == 0 {
		sections = append(sections, m.section("group:g", groupChoices, badness, 1, []string{"programs"}, nil))
	}
	if m.Intn(3) == 0 {
		sections = append(sections, m.section(m.pick("inet_http_server", "inet_http_server:x"), inetChoices, badness, 1, []string{"port"}, nil))
	}
	if m.Intn(3) == 0 {
		sections = append(sections, m.section(m.pick("unix_http_server", "unix_http_server:y"), unixChoices, badness, 2, []string{"file"}, nil))
	}
	if m.Intn(4) == 0 {
		sections = append(sections, m.section("eventlistener:l", listenerChoices, badness, m.Intn(8), []string{"command", "events"}, []string{"numprocs", "process_name"}))
	}
	if m.Intn(4) == 0 {
		// Without a process we have nothing that could tell the socket.
		sections = append(sections, m.section("fcgi-program:f", fcgiChoices, badness, m.Intn(8), []string{"command", "socket"}, []string{"numprocs", "process_name"}))
	}
	if m.Intn(6) == 0 {
		// These mean something else elsewhere, or nothing good.
		never := []string{"process_name", "numprocs", "user", "environment", "directory", "serverurl", "redirect_stderr"}
		sections = append(sections, m.section("DEFAULT", programChoices, badness, 2, nil, never))
	}
	// Members start in the order of the list under both (quirk C7).
	sections = append(sections, "[graced]\nquirks=boot_config_order\n")
	m.Shuffle(len(sections), func(i, j int) { sections[i], sections[j] = sections[j], sections[i] })
	s := &snippet{files: map[string]string{}, env: map[string]string{"NUM": "3", "SIG": "HUP"}}
	if m.Intn(4) == 0 {
		cut := m.Intn(len(sections))
		s.files["conf.d/x.ini"] = strings.Join(sections[cut:], "")
		sections = append(sections[:cut:cut], "[include]\nfiles = "+m.pick("conf.d/*.ini", "*/x.ini nothing", "%(here)s/conf.d/x.ini")+"\n")
	}
	s.files["supervisord.conf"] = strings.Join(sections, "")
	return s
}

var unknownMember = regexp.MustCompile(`\[(group|program):\w+\] names unknown`)

// TestRandomLive compares what we and the Supervisor of this machine make of random configurations: everything that is read, or the
// error.
func TestRandomLive(t *testing.T) {
	if !haveSupervisor() {
		t.Skip("hidden: random configurations against the real Supervisor, because /usr/bin/python3 has no supervisor module")
	}
	m := configMaker{newRand(t)}
	var all []*snippet
	for range *randomConfigs {
		all = append(all, m.config())
	}
	list := questions(t, all)
	refused := 0
	for i, theirs := range askSupervisor(t, list) {
		ours := ourAnswer(list[i])
		delete(ours, "remarks")
		// Quirk A9: which section is named.
		want, got := unknownMember.ReplaceAllString(render(theirs), "names unknown"), unknownMember.ReplaceAllString(render(ours), "names unknown")
		if got != want {
			t.Errorf("ours (+) and Supervisor's (-):\n%s-- of:\n%s", changes(want, got), indent(marshalFiles(all[i].files)))
		}
		if theirs["error"] != nil {
			refused++
		}
	}
	t.Logf("%d configurations, %d of them refused", len(all), refused)
	if refused < len(all)/10 || refused > len(all)*9/10 {
		t.Errorf("%d of %d are refused: that tests only one side", refused, len(all))
	}
}

func marshalFiles(files map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "#### file %s\n%s", name, files[name])
	}
	return b.String()
}
