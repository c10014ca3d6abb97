package daemon

import (
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
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
