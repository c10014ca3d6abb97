package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFacts looks at this machine: what is there is there, and what is not says why. What kernel and rights of a test always offer has to be found.
func TestFacts(t *testing.T) {
	was := probesLeft() // of others, that were killed
	before := openFiles(t)
	f := factsWithout(nil)
	names := map[string]bool{}
	for _, one := range f.Features {
		t.Logf("%-20s %-5v %s", one.Name, one.Available, one.Detail)
		switch {
		case names[one.Name]:
			t.Errorf("%s is told twice", one.Name)
		case one.Disabled, one.Use == "", one.Instead == "", !one.Available && one.Detail == "":
			t.Errorf("%+v", one)
		}
		names[one.Name] = true
	}
	if f.Kernel == "" || len(f.Unknown) != 0 {
		t.Errorf("%+v", f)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"memfd_create", "splice"} { // older than any Go that builds this
		if !names[name] || !available(f, name) {
			t.Errorf("%s is not found", name)
		}
	}
	// Of the newer ones a kernel has all that are older than one that it has, but for a filter.
	if available(f, "pidfd_info_exit") && !(available(f, "pidfd_getfd") && available(f, "pidfd_send_signal") && available(f, "pidfd_open")) {
		t.Errorf("the newest there, and not those before it: %+v", f.Features)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors became %d", before, after)
	}
	for end := time.Now().Add(20 * time.Second); ; runtime.Gosched() { // others probe, too
		left := slices.DeleteFunc(probesLeft(), func(path string) bool { return slices.Contains(was, path) })
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("left behind: %q", left)
		}
	}
}

// probesLeft returns what probes make and have not removed yet.
func probesLeft() []string {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "graced-probe-*")) // the pattern is good
	if own, err := ownCgroup("/proc/self"); err == nil {
		groups, _ := filepath.Glob(filepath.Join(own, "graced-probe-*"))
		left = append(left, groups...)
	}
	return left
}

func available(f Facts, name string) bool {
	return slices.ContainsFunc(f.Features, func(one Feature) bool { return one.Name == name && one.Available })
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestFactsWithout takes features away, one by one and in groups.
func TestFactsWithout(t *testing.T) {
	for _, p := range probes {
		f := factsWithout([]string{p.name})
		for _, one := range f.Features {
			if off := strings.HasPrefix(one.Name, p.name); one.Disabled != off || off && (one.Available || one.Detail != "taken away by GRACED_DISABLE") {
				t.Errorf("without %s: %+v", p.name, one)
			}
		}
	}
	f := factsWithout(wordsOf("pidfd, what,cgroup2,nofile"))
	for _, one := range f.Features {
		if off := strings.HasPrefix(one.Name, "pidfd") || strings.HasPrefix(one.Name, "cgroup2"); one.Disabled != off {
			t.Errorf("%+v", one)
		}
	}
	if !slices.Equal(f.Unknown, []string{"what", "nofile"}) {
		t.Errorf("unknown %q", f.Unknown)
	}
	for i, one := range factsWithout([]string{"all"}).Features {
		if one.Disabled != (i < len(probes)) {
			t.Errorf("without all: %+v", one)
		}
	}
}

// TestOwnCgroup finds the group in what kernels and containers say.
func TestOwnCgroup(t *testing.T) {
	const v1 = "30 25 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
	for _, c := range []struct{ groups, mounts, want, err string }{
		{"0::/system.slice/graced.service\n", v1 + "31 25 0:27 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/system.slice/graced.service", ""},
		{"9:cpu:/x\n0::/\n", "31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/unified", ""},
		{"0::/docker/1/sub\n", "31 25 0:27 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "/sys/fs/cgroup/sub", ""},
		{"0::/\n", v1, "", "control groups of version 2 are not mounted"},
		{"9:cpu:/x\n", v1, "", "the kernel has no control groups of version 2"},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"cgroup": c.groups, "mountinfo": c.mounts} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := ownCgroup(dir)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%q %q: %q, %v", c.groups, c.mounts, got, err)
		}
	}
}

// TestPtraceRight reads what yama says.
func TestPtraceRight(t *testing.T) {
	for _, c := range []struct {
		scope   int
		capable bool
		want    string
		ok      bool
	}{
		{-1, false, "of the same user", true}, {0, true, "all (ptrace_scope 0)", true}, {1, false, "its own children (ptrace_scope 1)", true},
		{2, false, "none without CAP_SYS_PTRACE (ptrace_scope 2)", false}, {2, true, "all (ptrace_scope 2)", true}, {3, true, "none (ptrace_scope 3)", false},
	} {
		if got, ok := ptraceRight(c.scope, c.capable); got != c.want || ok != c.ok {
			t.Errorf("%d %v: %q %v", c.scope, c.capable, got, ok)
		}
	}
}

// TestSweepProbes removes the groups of those who were killed while they looked, and no other.
func TestSweepProbes(t *testing.T) {
	cmd := exec.Command("/bin/cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	maker, err := ReadStat(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	space, err := pidSpace()
	if err != nil || space == "" {
		t.Fatal(space, err)
	}
	own, err := probeName()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	left := fmt.Sprintf("%s%s-%d-%d-1", probePrefix, space, maker.PID, maker.StartTime)
	all := []string{
		left,
		fmt.Sprintf("%s%s-%d-%d-full", probePrefix, space, maker.PID, maker.StartTime),
		fmt.Sprintf("%s1-%d-%d-1", probePrefix, maker.PID, maker.StartTime), // of another namespace
		fmt.Sprintf("%s%s-%d-x-1", probePrefix, space, maker.PID),
		own + "1", probePrefix + "123", "web.1",
	}
	for _, name := range all {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, all[1], "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	remain := func() []string {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range list {
			names = append(names, e.Name())
		}
		return names
	}
	want := slices.Sorted(slices.Values(all))
	if sweepProbes(dir); !slices.Equal(remain(), want) {
		t.Errorf("while the maker lives: left are %q", remain())
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	want = slices.DeleteFunc(want, func(name string) bool { return name == left })
	if sweepProbes(dir); !slices.Equal(remain(), want) {
		t.Errorf("left are %q, want %q", remain(), want)
	}
}
