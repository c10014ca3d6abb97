package main

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// lost is what may be different where a feature is missing. What it does not name is as ever.
type lost struct {
	limit   bool   // it is a limit: it cannot be taken away
	lines   bool   // a line that is on its way when a daemon is killed
	ends    bool   // how a process ends whose keeper was killed
	tree    bool   // what has left the process group and has no parent any more is not stopped with its process
	lacking string // what doctor says of a process with limits
	socket  bool   // after keeper and daemon were killed at once a shared socket is another one
	others  bool   // likewise the processes of other users
	limits  bool   // programs have no more open files than graced was started with, whatever minfds says
}

// withouts are all features.
var withouts = map[string]lost{
	"pidfd_open": {ends: true, socket: true}, "pidfd_send_signal": {}, "pidfd_info_exit": {ends: true}, "pidfd_getfd": {socket: true},
	"splice": {lines: true}, "memfd_create": {}, "unshare": {},
	"cgroup2": {tree: true, lacking: "control groups are taken away by GRACED_DISABLE"}, "cgroup2_write": {tree: true, lacking: "control groups are taken away by GRACED_DISABLE"},
	"cgroup2_kill": {}, "cgroup2_controllers": {lacking: "pids_max is not in force: controllers are taken away by GRACED_DISABLE"},
	"ptrace": {limits: true}, "proc_other": {others: true},
	"nofile": {limit: true}, "nproc": {limit: true}, "pipe_pages": {limit: true},
}

const withoutConf = lines + `[program:tree]
command=/bin/sh -c 'sh leaf.sh; exec sleep 1000'
directory=%(here)s
startsecs=0
stop_tree=true
[program:limited]
command=/bin/sh -c 'ulimit -n; exec sleep 1000'
startsecs=0
pids_max=1000
stdout_logfile=%(here)s/limited.log
[program:early]
command=/bin/sh -c 'read go; exit 7'
startsecs=0
autorestart=false
[program:late]
command=/bin/sh -c 'read go; exit 7'
startsecs=0
autorestart=false
[fcgi-program:shared]
command=/bin/sleep 1000
socket=unix://%(here)s/shared.sock
startsecs=0
`

// TestWithoutFeatures takes each feature away, and then kills the daemon, the keeper and both: processes start, go on, are stopped, and it is known how
// they ended, but for what the feature's row of the table says.
func TestWithoutFeatures(t *testing.T) {
	all := &rig{t: t, dir: t.TempDir()}
	all.launch(nil, "")
	features := map[string]control.Feature{}
	for _, f := range all.doctor().Features {
		features[f.Name] = f
		if _, ok := withouts[f.Name]; !ok {
			t.Errorf("nothing is said about what is different without %s", f.Name)
		}
	}
	all.must(all.end())
	for _, name := range append([]string{"nothing"}, slices.Sorted(maps.Keys(withouts))...) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, ok := features[name]; !ok && name != "nothing" {
				t.Fatalf("there is no feature %s", name)
			}
			lost := withouts[name]
			lost.ends = lost.ends || !features["pidfd_info_exit"].Available
			lost.tree = lost.tree || !features["cgroup2_write"].Available
			lost.socket = lost.socket || !features["pidfd_getfd"].Available
			lost.others = lost.others || !features["proc_other"].Available
			without(t, name, lost)
		})
	}
}

func (r *rig) doctor() (d control.Doctor) {
	r.t.Helper()
	r.must(json.Unmarshal([]byte(r.gracectl(0, []string{"doctor", "-o", "json"})), &d))
	return d
}

// without tells the story of one feature.
func without(t *testing.T, name string, lost lost) {
	conf := withoutConf
	if os.Getuid() == 0 {
		conf += "[program:other]\ncommand=/bin/sleep 1000\nstartsecs=0\nuser=nobody\n"
	}
	r := &rig{t: t, dir: t.TempDir()}
	r.put("leaf.sh", "setsid sleep 1000 &\necho $! >leaf\n") // it leaves the group, and then has no parent any more
	wrap := func() []string { return []string{"prlimit", "--nofile=900:5000", "env", "GRACED_DISABLE=" + name} }
	r.launch(wrap(), conf)
	for one := range r.infos() {
		r.runs(one, process.Running)
	}
	r.until("the tree has grown", func() bool { return strings.HasSuffix(r.read("leaf"), "\n") })
	leaf, err := strconv.Atoi(strings.TrimSpace(r.read("leaf")))
	r.must(err)
	t.Cleanup(func() { _ = syscall.Kill(leaf, syscall.SIGKILL) }) // a process of this test's that nobody else ends

	doc := r.doctor()
	if doc.KeeperPID != r.keeperPID() || doc.DaemonPID != r.daemonPID() {
		t.Errorf("doctor says keeper %d, daemon %d; they are %d, %d", doc.KeeperPID, doc.DaemonPID, r.keeperPID(), r.daemonPID())
	}
	for _, f := range doc.Features {
		if f.Name == name && f.Disabled == lost.limit {
			t.Errorf("%+v", f)
		}
	}
	if unknown := slices.Contains(doc.Unknown, name); unknown != (lost.limit || name == "nothing") {
		t.Errorf("%s has no meaning for GRACED_DISABLE: %v", name, unknown)
	}
	if lost.lacking != "" && !slices.ContainsFunc(doc.Lacking, func(l control.Lacking) bool { return l.Name == "limited" && strings.Contains(l.Text, lost.lacking) }) {
		t.Errorf("doctor does not say of limited that %s: %v", lost.lacking, doc.Lacking)
	}
	if got, want := strings.TrimSpace(r.read("limited.log")), map[bool]string{false: "1024", true: "900"}[lost.limits]; got != want { // minfds is 1024
		t.Errorf("a program may open %s files, want %s", got, want)
	}

	before := map[string]int{}
	same := func(when string) {
		t.Helper()
		for one, p := range r.infos() {
			if before[one] != 0 && p.PID != before[one] {
				t.Errorf("%s: %s had pid %d and has %d", when, one, before[one], p.PID)
			}
		}
	}
	for one, p := range r.infos() {
		before[one] = p.PID
	}
	ends := func(one string, mayBeUnknown bool) {
		t.Helper()
		delete(before, one)
		r.must(r.WriteStdin(t.Context(), one, []byte("go\n")))
		r.runs(one, process.Exited)
		known := strings.Contains(r.read("s.log"), "exited: "+one+" (exit status 7; not expected)")
		unknown := strings.Contains(r.read("s.log"), "exited: "+one+" (exit status unknown; not expected)")
		if !known && !(mayBeUnknown && unknown) {
			t.Errorf("it is not known how %s has ended", one)
		}
	}
	r.killDaemon()
	same("after the daemon was killed")
	ends("early", false)
	r.killKeeper()
	same("after the keeper was killed")
	ends("late", lost.ends)

	socket := r.stat("shared.sock")
	killMates(r.dir)
	err = <-r.exited
	r.exited <- err
	r.launch(wrap(), conf)
	if other := before["other"]; lost.others && other != 0 {
		if !strings.Contains(r.read("s.log"), "cannot take other back: permission denied") {
			t.Error("nobody says that the process of another user is not taken back")
		}
		r.must(syscall.Kill(other, syscall.SIGKILL)) // it is nobody's
		delete(before, "other")
	}
	same("after both were killed")
	if now := r.stat("shared.sock"); os.SameFile(now, socket) == lost.socket {
		t.Errorf("the shared socket is the same: %v", lost.socket)
	}

	if _, err := r.Stop(t.Context(), control.Target{All: true}, true); err != nil {
		t.Fatal(err)
	}
	for one, p := range r.infos() {
		if p.PID != 0 || p.State != process.Stopped && p.State != process.Exited {
			t.Errorf("after the stop %s is %s, pid %d", one, p.State, p.PID)
		}
	}
	for one, pid := range before {
		if lives(pid) {
			t.Errorf("%s lives on with pid %d", one, pid)
		}
	}
	if lives(leaf) != lost.tree {
		t.Errorf("what the tree has left behind lives: %v", !lost.tree)
	}
	if !lost.lines {
		t.Logf("%d lines", countLines(t, r.path("lines.log")))
	}
	r.must(r.end())
}

// stat looks at a file of the rig's directory.
func (r *rig) stat(name string) os.FileInfo {
	r.t.Helper()
	info, err := os.Stat(r.path(name))
	r.must(err)
	return info
}
