package ctl

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
	"github.com/graced/graced/internal/process"
)

// processRecord is what status says about one process.
type processRecord struct {
	Proc      string   `json:"name"`
	Group     string   `json:"group"`
	ID        string   `json:"id"` // "group:name"
	State     string   `json:"state"`
	StateCode int      `json:"statecode"`
	PID       *int     `json:"pid"`                // null = there is no process
	Start     string   `json:"start,omitempty"`    // of the last start
	Stop      string   `json:"stop,omitempty"`     // of the last end
	Uptime    *float64 `json:"uptime_s,omitempty"` // of a process that runs
	Exit      *int     `json:"exit"`               // of the last end, -1 = by a signal; null while it runs and before the first end
	SpawnErr  string   `json:"spawnerr"`
	Note      string   `json:"description"` // Supervisor's words
	Stdout    string   `json:"stdout_logfile,omitempty"`
	Stderr    string   `json:"stderr_logfile,omitempty"`
	RSS       *int64   `json:"rss_bytes,omitempty"` // only of a process of this machine
	CPU       *float64 `json:"cpu_s,omitempty"`     // processor time used since its start; as above
	CPUShare  *float64 `json:"cpu_pct,omitempty"`   // the same in percent of the time since then: 100 = one processor, all the time
	Ready     *bool    `json:"ready"`               // whether a check has found it ready; null = nobody asks
	Unready   string   `json:"unready,omitempty"`   // why it is not
	Restarts  *int     `json:"restarts,omitempty"`  // starts by itself since somebody has started it; of a graced

	state process.State
}

func recordOf(p control.ProcessInfo) processRecord {
	r := processRecord{Proc: p.Name, Group: p.Group, ID: fullName(p), State: p.State.String(), StateCode: int(p.State), Start: rfc3339(p.Start),
		Stop: rfc3339(p.Stop), SpawnErr: p.SpawnErr, Note: noteOf(p), Stdout: p.StdoutLog, Stderr: p.StderrLog, state: p.State}
	if p.PID != 0 {
		r.PID = &p.PID
	}
	if p.PID != 0 && !p.Start.IsZero() && !p.Now.Before(p.Start) {
		seconds := p.Now.Sub(p.Start).Seconds()
		r.Uptime = &seconds
	}
	if p.PID == 0 && !p.Stop.IsZero() {
		r.Exit = &p.ExitStatus
	}
	return r
}

// noteOf is Supervisor's description, but where that is the beginning of 1970: of a process that was stopped before any life of it has ended. What else a
// description says of such a process stays.
func noteOf(p control.ProcessInfo) string {
	if _, err := time.Parse("Jan 02 03:04 PM", p.Description); err == nil && p.Stop.IsZero() {
		return "Not started"
	}
	return p.Description
}

// use enters what a process uses. Daemons tell times in whole seconds: in its first one a process counts as one second old.
func (r *processRecord) use(u procUsage) {
	r.RSS, r.CPU = &u.rss, &u.cpu
	if r.Uptime != nil {
		share := math.Round(1000*u.cpu/max(1, *r.Uptime)) / 10
		r.CPUShare = &share
	}
}

// rfc3339 is a time as documents show it, "" for none.
func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (r processRecord) Schema() string { return "graced.process/v1" }
func (r processRecord) Name() string   { return r.ID }
func (r processRecord) Line() string   { return "" }

// statusAnswer answers status.
type statusAnswer struct {
	Host      string          `json:"host,omitempty"` // of a daemon behind a socket of this machine
	Daemon    daemonRecord    `json:"daemon"`
	Processes []processRecord `json:"processes"`
	Summary   summary         `json:"summary"`
}

type daemonRecord struct {
	PID        int    `json:"pid"`
	Identifier string `json:"identifier"`
	Version    string `json:"version"` // of Supervisor, whose contract is kept
	State      string `json:"state"`
	Revision   string `json:"revision,omitempty"` // of the configuration in force, of a graced
	InStep     *bool  `json:"in_step,omitempty"`  // what runs is what the files say, of a graced
	NotKept    string `json:"not_kept,omitempty"` // why what users have set is not on disk
	// Drift are the groups that run something else than the files said when they were read: after a rollback, or an operation that has failed.
	Drift []string `json:"drift,omitempty"`

	Lacking []control.Lacking `json:"lacking,omitempty"` // processes that lack what their options ask for

	standing control.Standing
}

// summary counts the processes shown.
type summary struct {
	Total    int `json:"total"`
	Running  int `json:"running"`
	Starting int `json:"starting"` // STARTING and BACKOFF
	Stopping int `json:"stopping"`
	Stopped  int `json:"stopped"`
	Exited   int `json:"exited"`
	Fatal    int `json:"fatal"`
	Unknown  int `json:"unknown"`
}

func (n *summary) count(state process.State) {
	n.Total++
	switch state {
	case process.Running:
		n.Running++
	case process.Starting, process.Backoff:
		n.Starting++
	case process.Stopping:
		n.Stopping++
	case process.Stopped:
		n.Stopped++
	case process.Exited:
		n.Exited++
	case process.Fatal:
		n.Fatal++
	default:
		n.Unknown++
	}
}

func (n summary) text() string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{n.Running, "running"}, {n.Starting, "starting"}, {n.Stopping, "stopping"}, {n.Stopped, "stopped"}, {n.Exited, "exited"}, {n.Fatal, "fatal"},
		{n.Unknown, "unknown"}} {
		if p.n > 0 {
			parts = append(parts, strconv.Itoa(p.n)+" "+p.word)
		}
	}
	if len(parts) == 0 {
		return "no processes"
	}
	return strings.Join(parts, ", ")
}

func (a *statusAnswer) Schema() string { return "graced.status/v1" }

func (a *statusAnswer) Records() []format.Record { return records(a.Processes) }

func (a *statusAnswer) exit(c *call) int {
	for _, p := range a.Processes {
		if c.exitCode && p.state.IsStopped() {
			return exitStopped
		}
	}
	return 0
}

// Text is a table and a summary. What is known of no process has no column.
func (a *statusAnswer) Text(style format.Style) string {
	header := []string{"NAME", "STATE", "READY", "PID", "UPTIME", "CPU", "MEM", "RESTARTS", "NOTE"}
	rows := make([][]format.Cell, len(a.Processes))
	for i, p := range a.Processes {
		row := []format.Cell{{Text: process.Namespec{Group: p.Group, Process: p.Proc}.String()}, {Text: p.State, Colour: stateColour(p.state)}, {}, {}, {}, {}, {}, {}, {}}
		if p.Ready != nil {
			row[2] = readyCell(*p.Ready)
		}
		if p.PID != nil {
			row[3].Text = strconv.Itoa(*p.PID)
		}
		if p.Uptime != nil {
			row[4].Text = uptime(time.Duration(*p.Uptime * float64(time.Second)))
		}
		if p.CPUShare != nil {
			row[5].Text = strconv.FormatFloat(*p.CPUShare, 'f', 1, 64) + "%"
		}
		if p.RSS != nil {
			row[6].Text = bytesText(*p.RSS)
		}
		if p.Restarts != nil {
			row[7].Text = strconv.Itoa(*p.Restarts)
		}
		row[8].Text = p.Unready
		if _, other, ok := strings.Cut(p.Note, ", stops after "); ok {
			row[8].Text = "stops after " + other
		}
		if strings.HasSuffix(p.Note, ", "+control.ExtraNote) {
			row[8].Text = strings.TrimPrefix(p.Unready+"; "+control.ExtraNote, "; ")
		}
		if p.state != process.Running {
			row[8].Text = p.Note
		}
		rows[i] = row
	}
	text := a.Summary.text() + "\n" + a.Daemon.notes()
	if len(rows) == 0 {
		return text
	}
	return format.Table(style, header, rows) + text
}

func readyCell(ready bool) format.Cell {
	if ready {
		return format.Cell{Text: "yes", Colour: format.Green}
	}
	return format.Cell{Text: "no", Colour: format.Yellow}
}

// notes tell where what runs is not what the files say.
func (d *daemonRecord) notes() string {
	var b strings.Builder
	for _, o := range d.standing.Overrides {
		fmt.Fprintf(&b, "%s is scaled to %d, the file says %d   (gracectl scale %s=file ends that)\n", o.Program, o.Count, o.InFile, o.Program)
	}
	for _, m := range d.standing.Marks {
		line := m.Name + " is " + map[string]string{control.MarkHold: "held", control.MarkDisable: "disabled", control.MarkEnable: "enabled"}[m.Mark] + " by " + m.Who
		if m.Note != "" {
			line += ": " + m.Note
		}
		b.WriteString(line + "\n")
	}
	for _, l := range d.Lacking {
		fmt.Fprintf(&b, "%s: %s\n", l.Name, l.Text)
	}
	if n := len(d.standing.Newer); n > 0 {
		fmt.Fprintf(&b, "changed since they were read: %s   (gracectl plan)\n", strings.Join(d.standing.Newer[:min(n, 3)], " "))
	}
	if n := len(d.standing.Drift); n > 0 {
		fmt.Fprintf(&b, "not in step, by an operation: %s   (gracectl plan)\n", some(d.standing.Drift))
	}
	if d.NotKept != "" {
		fmt.Fprintf(&b, "changes cannot be kept on disk: %s\n", d.NotKept)
	}
	return b.String()
}

// stand adds what only a graced knows.
func (d *daemonRecord) stand(ctx context.Context, server Proxy) {
	standing, err := server.Standing(ctx)
	if err != nil {
		return // Supervisor has nothing to say, and a daemon that ends not either
	}
	inStep := len(standing.Overrides)+len(standing.Newer)+len(standing.Drift) == 0
	d.Revision, d.InStep, d.NotKept, d.standing = "r"+strconv.Itoa(standing.Rev), &inStep, standing.NotKept, standing
	d.Lacking, d.Drift = standing.Lacking, standing.Drift
}

func stateColour(state process.State) format.Colour {
	switch state {
	case process.Running:
		return format.Green
	case process.Starting, process.Stopping, process.Backoff:
		return format.Yellow
	case process.Fatal, process.Unknown:
		return format.Red
	}
	return ""
}

// uptime is a duration as Supervisor shows it: "0:00:09", "1 day, 3:04:05".
func uptime(d time.Duration) string {
	n := int64(d / time.Second)
	text := fmt.Sprintf("%d:%02d:%02d", n/3600%24, n/60%60, n%60)
	switch days := n / 86400; days {
	case 0:
		return text
	case 1:
		return "1 day, " + text
	default:
		return strconv.FormatInt(days, 10) + " days, " + text
	}
}

// bytesText is a size for people, in units of 1024.
func bytesText(n int64) string {
	unit, f := "KB", float64(n)/1024
	for _, next := range []string{"MB", "GB", "TB"} {
		if f < 1000 {
			break
		}
		unit, f = next, f/1024
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + unit
}

// answerStatus describes the processes that the words mean, or all. Words that mean nothing are an error beside the rest.
func (s *Session) answerStatus(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	all, err := server.Processes(ctx)
	if err != nil {
		return nil, err
	}
	daemon, err := server.Daemon(ctx)
	if err != nil {
		return nil, err
	}
	chosen := all
	var missed error
	if len(c.words) > 0 || c.states != nil {
		chosen = nil
		seen := map[string]bool{}
		for _, word := range orAll(c.words) {
			units, err := s.pick(c, []string{word}, all)
			if err != nil && missed == nil {
				missed = err
			}
			for _, p := range members(units) {
				if !seen[fullName(p)] {
					seen[fullName(p)] = true
					chosen = append(chosen, p)
				}
			}
		}
	}
	a := &statusAnswer{Daemon: daemonRecord{PID: daemon.PID, Identifier: daemon.Identifier, Version: daemon.Version, State: daemon.Mood.String()}, Processes: []processRecord{}}
	a.Daemon.stand(ctx, server)
	local := isLocal(s.ServerURL)
	if local {
		a.Host, _ = os.Hostname() // without a name there is none to tell
	}
	for _, p := range chosen {
		r := recordOf(p)
		if local && p.PID != 0 {
			if use, ok := usageOf(p.PID, daemon.PID, p.Start); ok {
				r.use(use)
			}
		}
		if a.Daemon.InStep != nil {
			n := a.Daemon.standing.Restarts[r.ID]
			r.Restarts = &n
		}
		if ready, ok := a.Daemon.standing.Readiness[r.ID]; ok {
			r.Ready, r.Unready = &ready.Ready, ready.Text
		}
		a.Processes = append(a.Processes, r)
		a.Summary.count(p.State)
	}
	if missed != nil && len(a.Processes) == 0 {
		return nil, missed
	}
	return a, missed
}

func orAll(words []string) []string {
	if len(words) == 0 {
		return []string{"all"}
	}
	return words
}

// pidAnswer answers pid.
type pidAnswer struct {
	Daemon    *int        `json:"daemon,omitempty"` // without words
	Processes []pidRecord `json:"processes,omitempty"`

	everything bool
}

type pidRecord struct {
	ID    string `json:"id"`
	Group string `json:"group"`
	Proc  string `json:"name"`
	PID   *int   `json:"pid"` // null = there is no process
}

func (r pidRecord) Schema() string { return "graced.pid/v1" }
func (r pidRecord) Name() string   { return r.ID }

// Line is the number alone, 0 for none: scripts put it into a command.
func (r pidRecord) Line() string {
	if r.PID == nil {
		return "0"
	}
	return strconv.Itoa(*r.PID)
}

func (a *pidAnswer) Schema() string           { return "graced.pids/v1" }
func (a *pidAnswer) Records() []format.Record { return records(a.Processes) }

func (a *pidAnswer) Text(format.Style) string {
	if a.Daemon == nil {
		return ""
	}
	return strconv.Itoa(*a.Daemon) + "\n"
}

func (a *pidAnswer) exit(*call) int {
	for _, p := range a.Processes {
		if p.PID == nil && !a.everything {
			return exitFailed
		}
	}
	return 0
}

// answerPIDs tells the daemon's pid, or those of the processes that the words mean.
func (s *Session) answerPIDs(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if len(c.words) == 0 && c.states == nil {
		daemon, err := server.Daemon(ctx)
		if err != nil {
			return nil, err
		}
		return &pidAnswer{Daemon: &daemon.PID}, nil
	}
	all, err := server.Processes(ctx)
	if err != nil {
		return nil, err
	}
	units, err := s.pick(c, c.words, all)
	if err != nil {
		return nil, err
	}
	a := &pidAnswer{everything: len(c.words) == 0 || contains(c.words, "all")}
	for _, p := range members(units) {
		r := pidRecord{ID: fullName(p), Group: p.Group, Proc: p.Name}
		if p.PID != 0 {
			r.PID = &p.PID
		}
		a.Processes = append(a.Processes, r)
	}
	return a, nil
}

// availAnswer answers avail.
type availAnswer struct {
	Programs []availRecord `json:"processes"`
}

type availRecord struct {
	ID            string `json:"id"`
	Group         string `json:"group"`
	Proc          string `json:"name"`
	InUse         bool   `json:"in_use"`
	Autostart     bool   `json:"autostart"`
	GroupPriority int    `json:"group_priority"`
	Priority      int    `json:"priority"`
}

func (r availRecord) Schema() string { return "graced.available/v1" }
func (r availRecord) Name() string   { return r.ID }
func (r availRecord) Line() string   { return "" }

func (a *availAnswer) Schema() string           { return "graced.avail/v1" }
func (a *availAnswer) Records() []format.Record { return records(a.Programs) }

func (a *availAnswer) Text(style format.Style) string {
	rows := make([][]format.Cell, len(a.Programs))
	for i, p := range a.Programs {
		use, start := "no", "manual"
		if p.InUse {
			use = "yes"
		}
		if p.Autostart {
			start = "auto"
		}
		rows[i] = []format.Cell{{Text: process.Namespec{Group: p.Group, Process: p.Proc}.String()}, {Text: use}, {Text: start},
			{Text: strconv.Itoa(p.GroupPriority) + ":" + strconv.Itoa(p.Priority)}}
	}
	if len(rows) == 0 {
		return "no processes\n"
	}
	return format.Table(style, []string{"NAME", "IN USE", "START", "PRIORITY"}, rows)
}

// answerAvailable lists every configured process, in the server's order.
func (*Session) answerAvailable(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if err := c.noWords(); err != nil {
		return nil, err
	}
	configs, err := server.Configs(ctx)
	if err != nil {
		return nil, err
	}
	a := &availAnswer{Programs: []availRecord{}}
	for _, p := range configs {
		a.Programs = append(a.Programs, availRecord{ID: p.Group + ":" + p.Spec.Name, Group: p.Group, Proc: p.Spec.Name, InUse: p.InUse, Autostart: p.Spec.Autostart,
			GroupPriority: p.GroupPriority, Priority: p.Spec.Priority})
	}
	return a, nil
}

// records widens a list.
func records[R format.Record](list []R) []format.Record {
	out := make([]format.Record, len(list))
	for i, r := range list {
		out[i] = r
	}
	return out
}
