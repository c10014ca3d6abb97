package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// fakeCgroups is a directory in the place of a group's, and what was written to its files.
type fakeCgroups struct {
	*cgroups
	t      *testing.T
	home   string
	writes []string
	busy   bool // the home has processes: its controllers cannot be shared out
	stays  bool // somebody stays there
}

func newFakeCgroups(t *testing.T, controllers string) *fakeCgroups {
	f := &fakeCgroups{t: t, home: t.TempDir()}
	f.cgroups = newCgroups(func() []int { return []int{10, 12} })
	f.own = func() (string, error) { return f.home, nil }
	f.put = func(path, text string) error {
		name, err := filepath.Rel(f.home, path)
		if err != nil {
			t.Error(err)
		}
		name = strings.ReplaceAll(name, fmt.Sprint(cgroupPrefix, os.Getpid()), "BASE")
		if f.busy && name == "cgroup.subtree_control" {
			return fmt.Errorf("cannot write: %w", unix.EBUSY)
		}
		f.writes = append(f.writes, name+" "+text)
		if strings.HasPrefix(name, "BASE/self/") && !f.stays {
			f.busy = false
		}
		return nil
	}
	f.file("cgroup.controllers", controllers)
	return f
}

func (f *fakeCgroups) file(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(f.home, name)), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.home, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeCgroups) wrote(want ...string) {
	f.t.Helper()
	if !slices.Equal(f.writes, want) {
		f.t.Errorf("written:\n%s\nwant\n%s", strings.Join(f.writes, "\n"), strings.Join(want, "\n"))
	}
	f.writes = nil
}

// TestCgroupLimits: each limit goes into its file, after its controller was shared out twice: to the keeper's group, and to those of processes.
func TestCgroupLimits(t *testing.T) {
	f := newFakeCgroups(t, "cpuset cpu io memory pids\n")
	dir, err := f.make("web", "web_0", process.TreeSpec{MemoryMax: 64 << 20, CPUMax: 1500, PidsMax: 7})
	if err != nil || filepath.Base(dir) != "web.web_0" {
		t.Errorf("%s, %v", dir, err)
	}
	f.wrote("cgroup.subtree_control +memory", "BASE/cgroup.subtree_control +memory", "BASE/web.web_0/memory.max 67108864",
		"cgroup.subtree_control +cpu", "BASE/cgroup.subtree_control +cpu", "BASE/web.web_0/cpu.max 150000 100000",
		"cgroup.subtree_control +pids", "BASE/cgroup.subtree_control +pids", "BASE/web.web_0/pids.max 7")
	if _, err := f.make("web", "web_1", process.TreeSpec{Kill: true}); err != nil {
		t.Error(err)
	}
	f.wrote()

	f.file("cgroup.controllers", "pids\n")
	dir, err = f.make("web", "web_2", process.TreeSpec{MemoryMax: 1, CPUMax: 10, PidsMax: 7})
	want := fmt.Sprintf("memory_max is not in force: %s has no controller memory; cpu_max is not in force: %[1]s has no controller cpu", f.home)
	if dir == "" || err == nil || err.Error() != want {
		t.Errorf("%s, %v", dir, err)
	}
	f.wrote("cgroup.subtree_control +pids", "BASE/cgroup.subtree_control +pids", "BASE/web.web_2/pids.max 7")
}

// TestCgroupMoves: controllers cannot be shared out by a group that has processes. Ours are moved, others' never.
func TestCgroupMoves(t *testing.T) {
	f := newFakeCgroups(t, "pids")
	f.busy = true
	f.file("cgroup.procs", "0\n10\n12\n")
	if _, err := f.make("g", "p", process.TreeSpec{PidsMax: 7}); err != nil {
		t.Fatal(err)
	}
	f.wrote("BASE/self/cgroup.procs 10", "BASE/self/cgroup.procs 12", "cgroup.subtree_control +pids", "BASE/cgroup.subtree_control +pids",
		"BASE/g.p/pids.max 7")
	f.close()
	f.wrote("cgroup.subtree_control -pids", fmt.Sprintf("cgroup.procs %d", os.Getpid()))

	f = newFakeCgroups(t, "pids")
	f.busy, f.stays = true, true
	f.file("cgroup.procs", "10\n11\n")
	_, err := f.make("g", "p", process.TreeSpec{PidsMax: 7})
	if want := "pids_max is not in force: " + f.home + " holds other processes besides"; err == nil || err.Error() != want {
		t.Error(err)
	}
	f.wrote("BASE/self/cgroup.procs 10")
	f.close()
	f.wrote()
}

// TestCgroupPlace: where groups are made, and why they are not.
func TestCgroupPlace(t *testing.T) {
	base := fmt.Sprint(cgroupPrefix, os.Getpid())
	for _, c := range []struct{ choice, own, home, base string }{
		{"", "/c/x", "/c/x", "/c/x/" + base},
		{"/c/other", "/c/x", "/c/other", "/c/other/" + base},
		{"", "/c/x/graced-5/self", "/c/x", "/c/x/graced-5"}, // where an earlier keeper has moved
		{"", "/c/x/graced-5", "/c/x/graced-5", "/c/x/graced-5/" + base},
	} {
		g := newCgroups(nil)
		g.own = func() (string, error) { return c.own, nil }
		g.choose(c.choice)
		if err := g.settle(); err != nil || g.home != c.home || g.base != c.base {
			t.Errorf("%+v: %s, %s, %v", c, g.home, g.base, err)
		}
		g.choose(cgroupsOff)
		if err := g.settle(); err == nil {
			t.Errorf("%+v: groups that are off", c)
		}
	}
	g := newCgroups(nil)
	g.own = func() (string, error) { return "", errors.New("no such thing") }
	if dir, err := g.make("g", "p", process.TreeSpec{}); dir != "" || err == nil {
		t.Errorf("%s, %v", dir, err)
	}
}

// TestCgroupNames: names are names of directories, and no two processes share one.
func TestCgroupNames(t *testing.T) {
	f := newFakeCgroups(t, "")
	name := func(group, name string) string {
		t.Helper()
		dir, err := f.make(group, name, process.TreeSpec{})
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(f.base, dir)
		if err != nil {
			t.Fatal(err)
		}
		return rel
	}
	if got := name("a/b", "..\n"); got != "a_b..._" {
		t.Errorf("%q", got)
	}
	if got := name("web", "web"); got != "web.web" {
		t.Errorf("%q", got)
	}
	if got := name("web", "web"); got != "web.web" { // it was empty
		t.Errorf("%q", got)
	}
	f.file(filepath.Join(filepath.Base(f.base), "web.web", "lives"), "")
	if got := name("web", "web"); got != "web.web.2" {
		t.Errorf("%q", got)
	}
	if got := name(strings.Repeat("x", 300), "y"); len(got) > 255 {
		t.Errorf("%d bytes", len(got))
	}
}

// TestCgroupFiles reads the files of a group.
func TestCgroupFiles(t *testing.T) {
	f := newFakeCgroups(t, "")
	f.file("g/cgroup.procs", "7\n0\n8\n")
	f.file("g/below/cgroup.procs", "9\n")
	f.file("g/cgroup.events", "populated 1\nfrozen 0\n")
	f.file("g/memory.events", "low 0\nhigh 0\nmax 9\noom 4\noom_kill 0\noom_group_kill 0\n")
	dir := filepath.Join(f.home, "g")
	if got := allCgroupPIDs(dir); !slices.Equal(got, []int{7, 8, 9}) {
		t.Errorf("%v", got)
	}
	if !populated(dir) || outOfMemory(dir) {
		t.Error("it is populated and has lost nothing")
	}
	f.file("g/cgroup.events", "populated 0\nfrozen 0\n")
	f.file("g/memory.events", "max 9\noom 4\noom_kill 2\noom_group_kill 0\n")
	if populated(dir) || !outOfMemory(dir) {
		t.Error("it is empty, and the kernel has killed in it")
	}
	if gone := filepath.Join(f.home, "gone"); populated(gone) || outOfMemory(gone) || allCgroupPIDs(gone) != nil || removeCgroup(gone) != nil {
		t.Error("there is no such group")
	}
}

// TestPlaceTravels: what is known of a child's place comes across, and is missing in what an older side says.
func TestPlaceTravels(t *testing.T) {
	at := place{cgroup: "/c/g", lacks: "much", killTree: true, stopping: true}
	tree := process.TreeSpec{Cgroup: process.CgroupOn, Stop: true, Kill: true, MemoryMax: 1 << 40, CPUMax: 10, PidsMax: 3}
	status := process.ExitStatus{Signal: 9, OutOfMemory: true}
	for _, m := range []message{
		&kept{life: life{1, 2}, pid: 3, place: at, status: status}, &adoptChild{life: life{1, 2}, place: at}, &forkedChild{life{1, 2}, 3, 4, at},
		&spawnChild{life: life{1, 2}, group: "g", tree: tree}, &exitedChild{life: life{1, 2}, status: status}, &setup{Setup{Cgroup: "/c"}},
		&signalChild{life: life{1, 2}, token: 5, toTree: true},
	} {
		got, _, _, err := unframe(frame(nil, m, 0))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v, %v, want\n%+v", got, err, m)
		}
	}
	c := coder{reading: true, buf: frame(nil, &forkedChild{life{1, 2}, 3, 4, place{}}, 0)[headerSize:][:4]}
	var m forkedChild
	if m.code(&c); c.bad || m.pid != 3 || m.place != (place{}) {
		t.Errorf("%+v", m)
	}
}
