package takeover

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/machine"
	"github.com/graced/graced/internal/process"
)

var (
	adoptNow = time.Unix(1_900_000_000, 0)
	ago      = func(d time.Duration) time.Time { return adoptNow.Add(-d) }
	name     = process.Namespec{Group: "g", Process: "p"}
)

// adopted matches one process with a group that has it.
func adopted(info control.ProcessInfo, taken *Taken) Adoption {
	info.Group, info.Name = "g", "p"
	told := Told{[]control.ProcessInfo{info}, []control.ConfigInfo{{Group: "g", Spec: process.Spec{Name: "p"}}}}
	return Adopt(told, taken, []process.GroupSpec{{Name: "g", Processes: []process.Spec{{Name: "p"}}}}, adoptNow)
}

// TestAdopt checks how what supervisord tells of a process is found.
func TestAdopt(t *testing.T) {
	min, hour := ago(time.Minute), ago(time.Hour)
	for _, c := range []struct {
		info control.ProcessInfo
		want core.Found
	}{
		{control.ProcessInfo{State: process.Running, PID: 7, Start: hour}, core.Found{State: process.Running, PID: 7, Began: hour, Started: time.Hour}},
		{control.ProcessInfo{State: process.Starting, PID: 7, Start: min, Stop: hour}, core.Found{State: process.Starting, PID: 7, Began: min, Ended: hour, Started: time.Minute}},
		{control.ProcessInfo{State: process.Stopping, PID: 7, Start: hour}, core.Found{State: process.Stopping, PID: 7, Began: hour, Started: time.Hour}},
		{control.ProcessInfo{State: process.Unknown, PID: 7}, core.Found{State: process.Unknown, PID: 7}},
		{control.ProcessInfo{State: process.Unknown}, core.Found{State: process.Unknown}},
		{control.ProcessInfo{State: process.Stopped}, core.Found{State: process.Stopped, Undecided: true}}, // it has not been started yet
		{control.ProcessInfo{State: process.Stopped, Start: hour, Stop: min}, core.Found{State: process.Stopped, Began: hour, Ended: min, Started: time.Hour}},
		{control.ProcessInfo{State: process.Stopped, Start: hour, Stop: min, ExitStatus: -1}, core.Found{
			State: process.Stopped, Began: hour, Ended: min, Started: time.Hour, HasExit: true, Exit: process.ExitStatus{Unknown: true},
		}},
		{control.ProcessInfo{State: process.Exited, Start: hour, Stop: min}, core.Found{State: process.Exited, Began: hour, Ended: min, Started: time.Hour, HasExit: true, Undecided: true}},
		{control.ProcessInfo{State: process.Exited, Start: hour, Stop: min, ExitStatus: 3, SpawnErr: "Bad exit code 3"}, core.Found{
			State: process.Exited, Began: hour, Ended: min, Started: time.Hour, HasExit: true, Exit: process.ExitStatus{Code: 3}, SpawnErr: "Bad exit code 3", Undecided: true,
		}},
		{control.ProcessInfo{State: process.Backoff, Start: hour, Stop: min}, core.Found{State: process.Backoff, Began: hour, Ended: min, Started: time.Hour, Since: time.Minute}},
		{control.ProcessInfo{State: process.Backoff, Start: min, Stop: hour}, core.Found{State: process.Backoff, Began: min, Ended: hour, Started: time.Minute, Since: time.Minute}},
		{control.ProcessInfo{State: process.Fatal, Start: hour}, core.Found{State: process.Fatal, Began: hour, Started: time.Hour}},
	} {
		a := adopted(c.info, nil)
		if got := a.Found[name]; got != c.want || len(a.Problems)+len(a.New) > 0 {
			t.Errorf("%+v is found\n%+v, want\n%+v; %+v", c.info, got, c.want, a)
		}
	}
	for _, waiting := range []bool{false, true} {
		want := map[bool]event.ListenerState{true: event.Ready}[waiting]
		taken := &Taken{Processes: []TakenProcess{{Name: name, Waiting: waiting}}}
		if got := adopted(control.ProcessInfo{State: process.Running, PID: 7}, taken).Found[name].Listener; got != want {
			t.Errorf("waiting %v: %v", waiting, got)
		}
	}
	for _, info := range []control.ProcessInfo{{State: process.Running}, {State: process.Exited, PID: 7}} {
		a := adopted(info, nil)
		if len(a.Found) > 0 || len(a.Problems) != 1 || a.Problems[0].Kind != Changed || a.Problems[0].Forced {
			t.Errorf("%+v: %+v", info, a)
		}
	}
}

// TestAdoptRefused checks what does not fit: processes on one side alone, and other settings.
func TestAdoptRefused(t *testing.T) {
	spec := func(name string) process.Spec { return process.Spec{Name: name, Command: "/bin/cat"} }
	info := func(name string, pid int) control.ProcessInfo {
		i := control.ProcessInfo{Group: "g", Name: name, PID: pid, Start: adoptNow}
		if pid > 0 {
			i.State = process.Running
		}
		return i
	}
	var told Told
	group := process.GroupSpec{Name: "g", Priority: 5}
	both := func(name string, change func(was *control.ConfigInfo, is *process.Spec)) {
		was, is := control.ConfigInfo{Group: "g", GroupPriority: 5, Spec: spec(name)}, spec(name)
		change(&was, &is)
		told.Processes, told.Configs = append(told.Processes, info(name, 7)), append(told.Configs, was)
		group.Processes = append(group.Processes, is)
	}
	both("same", func(was *control.ConfigInfo, is *process.Spec) {})
	both("untold", func(was *control.ConfigInfo, is *process.Spec) {
		was.Untold, is.Umask, is.Autorestart = []string{"umask", "autorestart"}, 0o22, process.RestartAlways
	})
	both("auto", func(was *control.ConfigInfo, is *process.Spec) {
		was.StdoutLog, was.StderrLog = "/tmp/auto-stdout---supervisor-x1.log", "/tmp/auto-stderr---supervisor-x2.log"
		was.Spec.Stdout.File = process.LogTarget{Kind: process.LogPath, Path: was.StdoutLog}
		was.Spec.Stderr.File = process.LogTarget{Kind: process.LogPath, Path: was.StderrLog}
	})
	both("path", func(was *control.ConfigInfo, is *process.Spec) {
		was.StdoutLog, was.StderrLog = "/tmp/a.log", "/tmp/path-stdout---supervisor-x2.log"
		was.Spec.Stdout.File = process.LogTarget{Kind: process.LogPath, Path: was.StdoutLog}
		was.Spec.Stderr.File = process.LogTarget{Kind: process.LogPath, Path: was.StderrLog}
	})
	both("changed", func(was *control.ConfigInfo, is *process.Spec) {
		was.GroupPriority, is.Command, is.StopWaitSecs = 9, "/bin/dog", 3
	})
	told.Processes = append(told.Processes, info("runs", 7), info("rests", 0), info("unread", 7))
	group.Processes = append(group.Processes, spec("unread"), spec("new"))

	a := Adopt(told, nil, []process.GroupSpec{group}, adoptNow)
	var got []string
	for _, p := range a.Problems {
		line := string(p.Kind) + " " + p.String()
		if p.Forced {
			line = "forced " + line
		}
		got = append(got, line)
	}
	other := "forced settings g:%s: the configuration has other settings, which it goes on with: "
	want := []string{
		strings.ReplaceAll(other, "%s", "path") + `stdout_logfile is "AUTO" and was "/tmp/a.log", stderr_logfile is "AUTO" and was "/tmp/path-stdout---supervisor-x2.log"`,
		strings.ReplaceAll(other, "%s", "changed") + `command is "/bin/dog" and was "/bin/cat", stopwaitsecs is "3" and was "0", priority of the group is 5 and was 9`,
		"no-program g:runs: the configuration does not have it",
		"forced no-program g:rests: the configuration does not have it",
		"forced settings g:unread: supervisord's files, as it has read them last, do not have it: what it was started with is not known",
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if want := []process.Namespec{{Group: "g", Process: "new"}}; !slices.Equal(a.New, want) {
		t.Errorf("new are %v", a.New)
	}
	if len(a.Found) != 6 {
		t.Errorf("found are %v", a.Found)
	}
}

// TestAdoptReal matches what a real supervisord tells with its own file, and hands it to the core.
func TestAdoptReal(t *testing.T) {
	t.Parallel()
	began := time.Now()
	const number = "_%(process_num)d"
	s := start(t, program("program", "chatty", 2, "BIN chatty"+number, "user=nobody", "exitcodes=0,2", "stopsignal=QUIT", "directory=DIR")+
		program("program", "silent", 1, "BIN silent"+number+" silent", "redirect_stderr=true", "stdout_logfile=AUTO")+
		program("eventlistener", "idle", 1, "BIN idle"+number+" listener", "events=TICK_3600", "stderr_logfile=NONE")+
		program("eventlistener", "busy", 1, "BIN busy"+number+" listener holds", "events=PROCESS_STATE,PROCESS_GROUP"), syscall.SysProcAttr{})
	for _, name := range []string{"idle_0", "busy_0"} {
		s.await("what listeners say first", func() bool {
			said, err := os.ReadFile(s.log(name, "out"))
			return err == nil && string(said) == "READY\n"
		})
	}
	s.await("an event to be held", func() bool {
		said, err := os.ReadFile(s.log("busy_0", "err"))
		return err == nil && strings.Contains(string(said), "HOLDS\n")
	})
	told := s.told()
	idle := slices.IndexFunc(told.Processes, func(i control.ProcessInfo) bool { return i.Name == "idle_0" })
	s.await("a listener to wait", func() bool { return reads(told.Processes[idle].PID) })
	plan, taken := s.seize(func(*Plan) {})
	defer taken.Abort()

	m, err := machine.New()
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(m, filepath.Join(s.dir, "supervisord.conf"), config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	a := Adopt(told, taken, c.Groups, time.Now())
	if len(a.Problems)+len(a.New) > 0 || len(a.Found) != len(plan.Processes) {
		t.Errorf("%+v", a)
	}
	for _, child := range plan.Processes {
		f := a.Found[child.Name]
		if f.State != process.Running || f.PID != child.PID || f.Started <= 0 || f.Started > time.Since(began)+time.Second { // supervisord tells whole seconds
			t.Errorf("%v is found %+v", child.Name, f)
		}
		if want := map[string]event.ListenerState{"idle": event.Ready}[child.Name.Group]; f.Listener != want {
			t.Errorf("%v is found %v, want %v", child.Name, f.Listener, want)
		}
	}
	machine := core.New(core.Options{Strict: true})
	effects := machine.Step(core.Now{Wall: time.Now()}, core.Command{Req: 1, Do: core.AddGroups{Groups: c.Groups, Found: a.Found}})
	if i := slices.IndexFunc(effects, func(e core.Effect) bool { return reflect.DeepEqual(e, core.Reply{Req: 1}) }); i < 0 {
		t.Errorf("%+v", effects)
	}
	for _, e := range effects {
		if spawn, ok := e.(core.Spawn); ok {
			t.Errorf("a second %s is started", spawn.Spec.Name)
		}
	}
}

// TestTold checks what Inspect is told.
func TestTold(t *testing.T) {
	got := Told{
		[]control.ProcessInfo{{Group: "g", Name: "p", PID: 7, State: process.Running, StdoutLog: "/o", StderrLog: "/e"}},
		[]control.ConfigInfo{{Group: "h", Spec: process.Spec{Name: "p"}}, {Group: "g", Spec: process.Spec{Name: "p", RedirectStderr: true}}},
	}.Info()
	if want := []Process{{name, 7, process.Running, true, "/o", "/e"}}; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
