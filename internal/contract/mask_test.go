package contract

import (
	"regexp"
	"slices"
	"strings"
)

// masks replace what differs between two runs of the same session.
var masks = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`(?s)Traceback \(most recent call last\):.*`), "(traceback)\n"},
	{regexp.MustCompile(`(?m)^.* CRIT Supervisor is running as root\..*\n`), ""}, // only where it does
	// The original's fg ends its reading thread by SystemExit, which the thread now and then reports as a failed connection.
	{regexp.MustCompile(`(?m)^\S+ Cannot connect, error: <class 'SystemExit'> \(\)\n`), ""},
	{regexp.MustCompile(`\bpid \d+`), "pid N"},
	{regexp.MustCompile(`\(\d+\) (with|laststart)`), "(N) $1"}, // of a pid
	{regexp.MustCompile(`(---[\w.]+)-[a-z0-9_]{8}\.log`), "$1-RANDOM.log"},
	{regexp.MustCompile(`uptime (\d+ days?, )?\d+:\d\d:\d\d`), "uptime T"},
	{regexp.MustCompile(`\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d\d \d\d:\d\d [AP]M`), "DATE"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}`), "TIME"},
	// gracectl's table, whose columns are as wide as what is in them.
	{regexp.MustCompile(`(?m)^NAME +STATE +PID +UPTIME +CPU +MEM +(RESTARTS +)?NOTE$`), "NAME STATE PID UPTIME CPU MEM ${1}NOTE"},
	{regexp.MustCompile(`RUNNING +\d+ +\d+:\d\d:\d\d +[\d.]+% +[\d.]+ [KMG]B`), "RUNNING N T C M"},
	{regexp.MustCompile(`STOPPED +- +- +- +- +`), "STOPPED - - - - "},
	{regexp.MustCompile(`(?m)^[1-9]\d+$`), "N"},                              // the output of the verb pid
	{regexp.MustCompile(`(?m)^((?:\S+> )*)error: .*$`), "${1}error: (text)"}, // the text is ours (quirk E7)
	{regexp.MustCompile(`(?m)^((?:\S+> )+)[1-9]\d+$`), "${1}N"},
}

// documentMasks are for gracectl's documents alone: the dumps of calls have members of the same names.
var documentMasks = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`"(pid|uptime_s|cpu_s|cpu_pct|rss_bytes|start|stop|host)":( ?)("[^"]*"|[\d.]+)`), `"$1":${2}N`},
	{regexp.MustCompile(`(?m)^( +)(pid|uptime_s|cpu_s|cpu_pct|rss_bytes|start|stop): .*$`), "$1$2: N"},
}

// clean masks a text and cuts it into lines.
func (e *environment) clean(text string) []string {
	text = strings.ReplaceAll(text, e.ctlPath, "$CTL")
	text = strings.ReplaceAll(text, e.pairing.daemon, "$DAEMON")
	text = strings.ReplaceAll(text, e.dir, "$D")
	text = strings.ReplaceAll(text, e.port, "$P")
	for _, m := range masks {
		text = m.from.ReplaceAllString(text, m.to)
	}
	if text == "" {
		return nil
	}
	if !strings.HasSuffix(text, "\n") {
		text += "(no newline)"
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "\t", "→\t") // tabs are part of the help's layout and easily lost by editors
	}
	return lines
}

// record turns what a program printed into the lines of a step.
func (e *environment) record(stdout, stderr string, exit string, sorted bool) []string {
	out := e.clean(stdout)
	if sorted {
		slices.Sort(out)
	}
	for _, line := range e.clean(stderr) {
		out = append(out, "! "+line)
	}
	return append(out, "[exit "+exit+"]")
}
