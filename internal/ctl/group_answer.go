package ctl

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// rereadAnswer answers reread.
type rereadAnswer struct {
	Added   []string `json:"added"`
	Changed []string `json:"changed"`
	Removed []string `json:"removed"`
}

// groupNews is one of the groups of reread.
type groupNews struct {
	Group string `json:"group"`
	News  string `json:"news"` // available, changed, disappeared
}

func (r groupNews) Schema() string { return "graced.group_news/v1" }
func (r groupNews) Name() string   { return r.Group + ":*" }
func (r groupNews) Line() string   { return r.Group + ": " + r.News }

func (a *rereadAnswer) Schema() string { return "graced.reread/v1" }

func (a *rereadAnswer) Records() []format.Record {
	var out []groupNews
	for _, part := range []struct {
		names []string
		news  string
	}{{a.Added, "available"}, {a.Changed, "changed"}, {a.Removed, "disappeared"}} {
		for _, name := range part.names {
			out = append(out, groupNews{name, part.news})
		}
	}
	slices.SortFunc(out, func(a, b groupNews) int { return strings.Compare(a.Group, b.Group) })
	return records(out)
}

func (a *rereadAnswer) Text(format.Style) string {
	if len(a.Added)+len(a.Changed)+len(a.Removed) == 0 {
		return "No config updates to processes\n"
	}
	return ""
}

// answerReread tells how the files differ from what is active.
func (*Session) answerReread(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if err := c.noWords(); err != nil {
		return nil, err
	}
	diff, err := server.Reread(ctx)
	if err != nil {
		return nil, err
	}
	return &rereadAnswer{Added: listed(diff.Added), Changed: listed(diff.Changed), Removed: listed(diff.Removed)}, nil
}

// listed is names as a document shows them: none is [], not null.
func listed(names []string) []string { return append([]string{}, names...) }

// groupRecord is what became of one group.
type groupRecord struct {
	Group  string   `json:"group"`
	OK     bool     `json:"ok"`
	Result string   `json:"result"` // added, already_active, stopped, removed, updated; failed
	Error  *failure `json:"error,omitempty"`
	DryRun bool     `json:"dry_run,omitempty"` // it would be so
	Start  []string `json:"start,omitempty"`   // with DryRun: what would start, "group:name"

	refused bool // with Error: the call itself, and not the stop of a process
}

func (r groupRecord) Schema() string { return "graced.group_result/v1" }

func (r groupRecord) Name() string {
	if !r.OK || r.Result == "stopped" { // what follows a stop has the name
		return ""
	}
	return r.Group + ":*"
}

// Line uses Supervisor's words.
func (r groupRecord) Line() string {
	switch r.Result {
	case "stopped":
		return r.Group + ": stopped"
	case "already_active":
		return r.Group + ": already active"
	case "failed":
		switch control.Code(r.Error.Num) {
		case control.StillRunning:
			return r.Group + ": ERROR (still running)"
		case control.Failed:
			if !r.refused {
				return r.Group + ": has problems; not removing"
			}
		}
		return r.Group + ": ERROR (" + r.Error.Text + ")"
	}
	if r.DryRun {
		line := r.Group + ": would be " + r.Result
		if len(r.Start) > 0 {
			line += ", and start " + strings.Join(r.Start, " ")
		}
		return line
	}
	return r.Group + ": " + r.Result + " process group"
}

// groupsAnswer answers add, remove and update.
type groupsAnswer struct {
	Verb    string        `json:"verb"`
	Results []groupRecord `json:"results"`
}

func (a *groupsAnswer) Schema() string           { return "graced.groups/v1" }
func (a *groupsAnswer) Records() []format.Record { return records(a.Results) }

func (a *groupsAnswer) Text(format.Style) string {
	if a.Verb == "update" && len(a.Results) == 0 {
		return "No config updates to processes\n"
	}
	return ""
}

func (a *groupsAnswer) exit(*call) int {
	if slices.ContainsFunc(a.Results, func(r groupRecord) bool { return !r.OK }) {
		return exitFailed
	}
	return 0
}

func (a *groupsAnswer) tell(c *call, r groupRecord) {
	a.Results = append(a.Results, r)
	c.Show(r)
}

// groupNames are the names of groups that words mean: "web" and "web:*" are the same.
func (c *call) groupNames() []string {
	var out []string
	for _, w := range c.words {
		if name := strings.TrimSuffix(w, ":*"); !contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// noGroup is the problem of a group that does not exist.
func noGroup(name string, known []string) *format.Problem {
	p := &format.Problem{Code: "E311", Title: "no such group", Detail: "no group " + strconv.Quote(name)}
	var close []string
	for _, k := range known {
		if distance(name, k) <= max(1, len(name)/3) {
			close = append(close, k)
		}
	}
	if len(close) > 0 {
		p.Hint = "did you mean " + strings.Join(close[:min(3, len(close))], ", ") + "?"
	}
	return p
}

// groupsDo applies a call to each group that the words name. ignored is the fault that means there was nothing to do.
func groupsDo(ctx context.Context, c *call, done, already string, ignored control.Code, known func() []string,
	do func(context.Context, string) error) (format.Answer, error) {
	return groupsTry(c, already, ignored, known, func(name string) (groupRecord, error) {
		return groupRecord{Group: name, OK: true, Result: done}, do(ctx, name)
	})
}

// groupsTry makes a record of each group that the words name: that of do, or one of its fault.
func groupsTry(c *call, already string, ignored control.Code, known func() []string, do func(name string) (groupRecord, error)) (format.Answer, error) {
	names := c.groupNames()
	if len(names) == 0 {
		return nil, c.misused("which groups?")
	}
	a := &groupsAnswer{Verb: c.verb, Results: []groupRecord{}}
	var missed error
	for _, name := range names {
		r, err := do(name)
		switch code := fault(err); {
		case err == nil:
			a.tell(c, r)
		case code == ignored && code != 0:
			a.tell(c, groupRecord{Group: name, OK: true, Result: already, DryRun: c.dryRun})
		case code == control.BadName:
			if missed == nil {
				missed = noGroup(name, known())
			}
		case code == 0 || code == control.ShutdownState || code == control.UnknownMethod:
			return a, err
		default:
			a.tell(c, groupRecord{Group: name, Result: "failed", Error: failureOf(code, detail(err)), DryRun: c.dryRun, refused: true})
		}
	}
	return a, missed
}

// answerAdd activates groups of the last-read configuration.
func (s *Session) answerAdd(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	known := func() []string {
		var out []string
		configs, _ := server.Configs(ctx) // a daemon that cannot list them gets no suggestion
		for _, p := range configs {
			if !contains(out, p.Group) {
				out = append(out, p.Group)
			}
		}
		return out
	}
	if c.dryRun {
		return groupsTry(c, "already_active", control.AlreadyAdded, known, s.wouldGroup(ctx, server, c, "added"))
	}
	return groupsDo(ctx, c, "added", "already_active", control.AlreadyAdded, known, server.AddGroup)
}

// answerRemove takes stopped groups out of the active configuration.
func (s *Session) answerRemove(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	known := func() []string {
		all, _ := server.Processes(ctx) // as for add
		return groupNames(all)
	}
	if c.dryRun {
		return groupsTry(c, "", 0, known, s.wouldGroup(ctx, server, c, "removed"))
	}
	return groupsDo(ctx, c, "removed", "", 0, known, server.RemoveGroup)
}

// answerUpdateGroups makes the active groups those of the files, each as a whole, with the calls of Supervisor's client, so that it drives either
// daemon: what has gone is stopped and removed, what has changed is replaced, what is new is added, in this order.
func (*Session) answerUpdateGroups(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	diff, err := server.Reread(ctx)
	if err != nil {
		return nil, err
	}
	names := c.groupNames()
	if contains(names, "all") {
		names = nil
	}
	if len(names) > 0 {
		all, err := server.Processes(ctx)
		if err != nil {
			return nil, err
		}
		known := slices.Concat(groupNames(all), diff.Added, diff.Changed, diff.Removed)
		for _, name := range names {
			if !contains(known, name) {
				return nil, noGroup(name, known)
			}
		}
	}
	a := &groupsAnswer{Verb: c.verb, Results: []groupRecord{}}
	for _, step := range []struct {
		groups []string
		result string
	}{{diff.Removed, "removed"}, {diff.Changed, "updated"}, {diff.Added, "added"}} {
		for _, g := range step.groups {
			if len(names) > 0 && !contains(names, g) {
				continue
			}
			if err := a.updateGroup(ctx, server, c, g, step.result); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

// updateGroup brings one group to what the files say.
func (a *groupsAnswer) updateGroup(ctx context.Context, server Proxy, c *call, group, result string) error {
	if result != "added" {
		rows, err := server.Stop(ctx, control.Target{Name: group, Group: true}, true)
		if err != nil {
			return err
		}
		a.tell(c, groupRecord{Group: group, OK: true, Result: "stopped"})
		if i := slices.IndexFunc(rows, func(r control.Result) bool { return r.Code == control.Failed }); i >= 0 {
			a.tell(c, groupRecord{Group: group, Result: "failed", Error: failureOf(rows[i].Code, rows[i].Text)})
			return nil
		}
		if err := server.RemoveGroup(ctx, group); err != nil {
			return err
		}
	}
	if result != "removed" {
		if err := server.AddGroup(ctx, group); err != nil {
			return err
		}
	}
	a.tell(c, groupRecord{Group: group, OK: true, Result: result})
	return nil
}

// graceAnswer answers grace_update. Names are "group:name".
type graceAnswer struct {
	Name    string        `json:"name"` // as asked for
	Refused bool          `json:"refused"`
	Message string        `json:"message,omitempty"` // the plugin's words where nothing was done
	Fields  []string      `json:"fields"`            // with refused: the options that differ, as far as the daemon tells
	Added   []string      `json:"added"`
	Stopped []string      `json:"stopped"`
	Removed []string      `json:"removed"`
	Failed  []graceFailed `json:"failed"`
	DryRun  bool          `json:"dry_run,omitempty"` // it would be so

	byParts bool // the daemon has the Python plugin
}

type graceFailed struct {
	ID    string   `json:"id"`
	Error *failure `json:"error"`
}

// graceRecord is one step of grace_update.
type graceRecord struct {
	ID     string `json:"id"`
	Result string `json:"result"` // added, stopped, removed
	DryRun bool   `json:"dry_run,omitempty"`

	word string
}

func (r graceRecord) Schema() string { return "graced.grace_step/v1" }

func (r graceRecord) Line() string {
	if r.DryRun {
		return r.ID + " would be " + r.Result
	}
	return r.ID + " " + r.word
}

func (r graceRecord) Name() string {
	if r.Result == "stopped" {
		return "" // it is removed next
	}
	return r.ID
}

func (a *graceAnswer) Schema() string { return "graced.grace_update/v1" }

func (a *graceAnswer) Records() []format.Record {
	var out []graceRecord
	for _, part := range []struct {
		names        []string
		result, word string
	}{{a.Added, "added", "added"}, {a.Stopped, "stopped", "stoped"}, {a.Removed, "removed", "removed"}} { // compat: (sic), scripts look for it (quirk G10)
		for _, name := range part.names {
			out = append(out, graceRecord{name, part.result, a.DryRun, part.word})
		}
	}
	return records(out)
}

func (a *graceAnswer) Text(format.Style) string {
	text := ""
	if a.Message != "" {
		text = a.Message + "\n"
	}
	for _, f := range a.Failed {
		text += f.ID + ": ERROR (" + f.Error.Text + ")\n"
	}
	return text
}

func (a *graceAnswer) exit(*call) int {
	switch {
	case a.Refused:
		return exitGraceRefused
	case len(a.Failed) > 0:
		return exitFailed
	}
	return 0
}

// refusal is the problem beside an answer that is a refusal.
func (a *graceAnswer) refusal(s *Session) error {
	if !a.Refused {
		return nil
	}
	p := &format.Problem{Code: "E313", Title: "refused", Detail: "nothing was changed: more than the number of processes differs", Exit: exitGraceRefused}
	if len(a.Fields) > 0 {
		p.Hint = "these options differ: " + strings.Join(a.Fields, ", ") + "\n"
	}
	how := "restarts only what has to; " + s.Program + " plan " + a.Name + " shows it"
	if a.byParts {
		how = "restarts the whole group"
	}
	p.Hint += s.Program + " update " + a.Name + " applies every change and " + how
	return p
}

// answerGrace brings the number of a group's processes to what the files say and touches nothing else.
func (s *Session) answerGrace(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	names := c.groupNames()
	if len(names) != 1 {
		return nil, c.misused("takes one group")
	}
	a := &graceAnswer{Name: names[0], Fields: []string{}, Added: []string{}, Stopped: []string{}, Removed: []string{}, Failed: []graceFailed{}}
	if c.dryRun {
		return s.wouldGrace(ctx, server, a)
	}
	result, err := server.GraceUpdate(ctx, a.Name)
	switch fault(err) {
	case control.UnknownMethod:
		return s.graceByParts(ctx, server, a)
	case control.BadName:
		return nil, s.noGraceGroup(ctx, server, a.Name)
	}
	if err != nil {
		return nil, err
	}
	a.Refused, a.Message, a.Fields = result.Refused, result.Message, listed(result.Fields)
	a.Added, a.Stopped, a.Removed = listed(result.Added), listed(result.Stopped), listed(result.Removed)
	for _, r := range result.Failed {
		a.Failed = append(a.Failed, graceFailed{r.Group + ":" + r.Name, failureOf(r.Code, r.Text)})
	}
	return a, a.refusal(s)
}

// graceByParts drives a daemon with the Python plugin, which names the processes and leaves the stopping and removing to the client
// (contract: rpc, "twiddler.* / grace.*").
func (s *Session) graceByParts(ctx context.Context, server Proxy, a *graceAnswer) (format.Answer, error) {
	a.byParts = true
	change, err := server.UpdateNumprocs(ctx, a.Name)
	if fault(err) == control.UnknownMethod {
		return nil, &format.Problem{Code: "E306", Title: "the daemon cannot do this", Detail: "the daemon at " + s.ServerURL + " has no grace_update",
			Hint: "with Supervisor its file needs an [rpcinterface:grace]", FaultCode: int(control.UnknownMethod)}
	}
	if err != nil {
		return nil, err
	}
	switch change.Type {
	case "add":
		a.Added = listed(change.Processes)
		return a, nil
	case "reduce":
	default:
		a.Message, a.Refused = change.Message, change.Message != plan.NothingToDo
		return a, a.refusal(s)
	}
	for _, p := range change.Processes {
		_, err := server.Stop(ctx, control.Target{Name: p}, true)
		if fault(err) == control.NotRunning { // an interrupted call can be repeated (quirk G5)
			continue
		}
		if err != nil {
			return a, err
		}
		a.Stopped = append(a.Stopped, p)
	}
	for _, p := range change.Processes {
		spec := process.ParseNamespec(p)
		if err := server.RemoveProcess(ctx, spec.Group, spec.Process); err != nil {
			return a, err
		}
		a.Removed = append(a.Removed, p)
	}
	return a, nil
}

// doneAnswer answers the verbs that act on the daemon.
type doneAnswer struct {
	Verb string `json:"verb"`
	Done string `json:"result"` // shutting_down, already_shutting_down, restarting

	DryRun bool     `json:"dry_run,omitempty"` // it would be so, and ...
	Stop   []string `json:"stop,omitempty"`    // ... these would be stopped, "group:name"
	Start  []string `json:"start,omitempty"`   // ... and these started

	text string
}

func (a *doneAnswer) Schema() string           { return "graced.daemon/v1" }
func (a *doneAnswer) Records() []format.Record { return nil }
func (a *doneAnswer) Text(format.Style) string { return a.text + "\n" }

// answerShutdown ends the daemon. One that is at it already needs no telling.
func (s *Session) answerShutdown(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if c.dryRun {
		return wouldShutdown(ctx, server, c)
	}
	if err := s.allowed(ctx, c, "Really shut the remote supervisord process down y/N? "); err != nil {
		return nil, err
	}
	err := server.Shutdown(ctx)
	if fault(err) == control.ShutdownState {
		return &doneAnswer{Verb: c.verb, Done: "already_shutting_down", text: "already shutting down"}, nil
	}
	if err != nil {
		return nil, err
	}
	return &doneAnswer{Verb: c.verb, Done: "shutting_down", text: "Shut down"}, nil
}

// answerReload restarts the daemon. graced checks the files before it stops anything (quirk C17).
func (s *Session) answerReload(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if c.dryRun {
		return s.wouldReload(ctx, server, c)
	}
	if err := s.allowed(ctx, c, "Really restart the remote supervisord process y/N? "); err != nil {
		return nil, err
	}
	if err := server.Restart(ctx); err != nil {
		return nil, err
	}
	return &doneAnswer{Verb: c.verb, Done: "restarting", text: "Restarted supervisord"}, nil
}

// allowed asks before something that hits every process, where that is wished. Nobody is asked without a terminal: -i is refused then.
func (s *Session) allowed(ctx context.Context, c *call, question string) error {
	if err := c.noWords(); err != nil {
		return err
	}
	if !s.Terminal {
		if s.Interactive && !s.inShell {
			return c.misused("-i wants a question answered, and there is no terminal to ask on")
		}
		return nil
	}
	yes, err := s.confirm(ctx, question)
	if err == nil && !yes {
		return errExplained
	}
	return err
}

// versionAnswer answers version.
type versionAnswer struct {
	Version string `json:"version"` // of Supervisor, whose contract the daemon keeps
}

func (a *versionAnswer) Schema() string           { return "graced.version/v1" }
func (a *versionAnswer) Records() []format.Record { return nil }
func (a *versionAnswer) Text(format.Style) string { return a.Version + "\n" }

func (*Session) answerVersion(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if err := c.noWords(); err != nil {
		return nil, err
	}
	daemon, err := server.Daemon(ctx)
	if err != nil {
		return nil, err
	}
	return &versionAnswer{daemon.Version}, nil
}
