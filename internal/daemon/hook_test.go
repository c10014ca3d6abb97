package daemon

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// TestHookOutput tells what a command writes line by line, long lines in pieces, and what has no end at its end.
func TestHookOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	o := &hookOutput{tell: func(line string) { got = append(got, line) }}
	if err := o.Open(); err != nil {
		t.Fatal(err)
	}
	fd := int(r.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	drain := func(want error) {
		t.Helper()
		for {
			switch n, err := o.Drain(fd, 1<<16); {
			case err != want:
				t.Fatalf("%d, %v", n, err)
			case n == 0:
				return
			}
			if want != nil {
				t.Fatal("it goes on")
			}
		}
	}
	long := strings.Repeat("x", 4096)
	for _, text := range []string{"one\r\ntw", "o\n\n" + long + "y\n\xff", "z"} {
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		drain(nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	drain(io.EOF)
	o.Close()
	var whole []string
	for _, line := range got {
		whole = append(whole, strings.ReplaceAll(line, long[:4000], "L"))
	}
	if want := []string{"one", "two", ""}; !slices.Equal(whole[:3], want) || strings.Join(got[3:len(got)-1], "") != long+"y" || got[len(got)-1] != "?z" || slices.ContainsFunc(got, func(l string) bool { return len(l) > 2*4096 }) {
		t.Errorf("%q", whole)
	}
}

// TestHookFlood bounds what is told of a command that writes without end: its first lines at once, its last ones at its end, and how much lay between.
func TestHookFlood(t *testing.T) {
	for _, c := range []struct {
		name        string
		line        func(i int) string
		lines       int
		told, after int // lines before and after its end
		between     string
	}{
		{"few", func(i int) string { return fmt.Sprint(i) }, 100, 100, 0, ""},
		{"some more", func(i int) string { return fmt.Sprint(i) }, 110, 101, 10, ""},
		{"many", func(i int) string { return fmt.Sprintf("%07d", i) }, 1_000_000, 101, 21, "(999880 lines, 6999160 bytes, are left out here)"},
		{"long", func(i int) string { return strings.Repeat("x", 4000) + fmt.Sprint(i%10) }, 100, 5, 3, "(94 lines, 376094 bytes, are left out here)"},
	} {
		var got []string
		o := &hookOutput{tell: func(line string) { got = append(got, line) }}
		for i := range c.lines {
			o.say([]byte(c.line(i)))
		}
		told := len(got)
		o.Close()
		if told != c.told || len(got)-told != c.after || got[len(got)-1] != c.line(c.lines-1) || got[0] != c.line(0) ||
			c.between != "" && (got[told] != c.between || !strings.Contains(got[told-1], "more than is logged")) {
			t.Errorf("%s: %d lines, then %.80q", c.name, told, got[told:])
		}
	}
}

// TestHookOutputIsCheap: a full pipe is emptied in one go, since whoever takes little of it is asked again only after a pause, and a line that is not told
// takes no memory.
func TestHookOutputIsCheap(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := int(r.Fd())
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	flood := []byte(strings.Repeat("flood\n", size/6))
	if _, err := w.Write(flood); err != nil {
		t.Fatal(err)
	}
	told := 0
	o := &hookOutput{tell: func(string) { told++ }}
	if n, err := o.Drain(fd, 64<<10); n != min(len(flood), 64<<10) || err != nil {
		t.Errorf("%d of %d bytes are read, %v", n, len(flood), err)
	}
	if told != hookFirstLines+1 {
		t.Errorf("%d lines are told", told)
	}
	if n := testing.AllocsPerRun(1000, func() { o.say(flood[:5]) }); n > 0 {
		t.Errorf("each line beyond them makes %v allocations", n)
	}
}

// TestHookEnviron: a command is told about whom it is, why it runs and, at the end of a process, how that came.
func TestHookEnviron(t *testing.T) {
	for _, c := range []struct {
		run  core.RunHook
		want string
	}{
		{core.RunHook{Option: "pre_start", Reason: core.ReasonStart}, ""},
		{core.RunHook{Option: "pre_stop", Reason: core.ReasonStop, PID: 7}, " GRACED_PID=7"},
		{core.RunHook{Option: "post_stop", Reason: core.ReasonExit, PID: 7, Exit: &process.ExitStatus{Code: 3}}, " GRACED_PID=7 GRACED_EXIT_CODE=3"},
		{core.RunHook{Option: "post_stop", Reason: core.ReasonExit, PID: 7, Exit: &process.ExitStatus{}}, " GRACED_PID=7 GRACED_EXIT_CODE=0"},
		{core.RunHook{Option: "post_stop", Reason: core.ReasonShutdown, PID: 7, Exit: &process.ExitStatus{Signal: 15}}, " GRACED_PID=7 GRACED_EXIT_SIGNAL=SIGTERM"},
		{core.RunHook{Option: "post_stop", Reason: core.ReasonExit, PID: 7, Exit: &process.ExitStatus{Unknown: true}}, " GRACED_PID=7"},
	} {
		c.run.Group, c.run.Name = "g", "p"
		var words []string
		for _, e := range hookEnviron(c.run) {
			words = append(words, e.Key+"="+e.Value)
		}
		want := "GRACED_NAME=p GRACED_GROUP=g GRACED_REASON=" + string(c.run.Reason) + c.want
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%s: %s, want %s", c.run.Option, got, want)
		}
	}
}
