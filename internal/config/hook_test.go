package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// TestHooks reads the commands of a process's life.
func TestHooks(t *testing.T) {
	plain := process.HookSpec{Timeout: 30 * time.Second}
	none := process.Hooks{PreStart: plain, PostReady: plain, PreStop: plain, PostStop: plain}
	with := func(set func(*process.Hooks)) process.Hooks {
		h := none
		set(&h)
		return h
	}
	for text, want := range map[string]process.Hooks{
		"": none,
		"pre_start=/bin/migrate %(process_num)d 'a b'\npre_start_timeout=10m\npre_start_on_failure=Ignore": with(func(h *process.Hooks) {
			h.PreStart, h.OnPreStart = process.HookSpec{Command: "/bin/migrate 0 'a b'", Timeout: 10 * time.Minute}, process.HookIgnored
		}),
		"pre_start_on_failure=fail":                none,
		"post_ready=x\npost_ready_on_failure=fail": with(func(h *process.Hooks) { h.PostReady.Command, h.OnPostReady = "x", process.PostFails }),
		"post_ready=x\npre_stop=y\npre_stop_timeout=500ms\npost_stop=z\npost_stop_timeout=5": with(func(h *process.Hooks) {
			h.PostReady.Command = "x"
			h.PreStop = process.HookSpec{Command: "y", Timeout: 500 * time.Millisecond}
			h.PostStop = process.HookSpec{Command: "z", Timeout: 5 * time.Second}
		}),
	} {
		c := load(t, map[string]string{"/etc/s.conf": head + "[fcgi-program:a]\nsocket=tcp://h:1\ncommand=x\n" + text + "\n"}, nil)
		if got := c.Groups[0].Processes[0].Hooks; got != want || len(warned(c, UnknownKey)) > 0 {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	for text, code := range map[string]Code{
		"pre_start=a 'b": BadQuoting, "post_ready_timeout=soon": BadValue, "pre_stop_timeout=-1s": BadValue, "post_stop=%(nope)s": BadExpansion, "pre_start_on_failure=perhaps": BadChoice, "post_ready_on_failure=stop": BadChoice,
	} {
		key, _, _ := strings.Cut(text, "=")
		if e := loadError(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\n" + text + "\n"}); e.Key != key || e.Code != code || e.Line != 4 || e.Hint == "" {
			t.Errorf("%s: %+v", text, e)
		}
	}
	c := load(t, map[string]string{"/etc/s.conf": head + "[eventlistener:a]\ncommand=x\nevents=EVENT\npre_start=x\n"}, nil)
	if got := c.Groups[0].Processes[0].Hooks; got.PreStart.Wanted() || len(warned(c, UnknownKey)) != 1 {
		t.Errorf("a listener has %+v", got)
	}
}

// TestSecretFiles reads which variables have the contents of which files; what is in them is nothing to the configuration. What is wrong is told
// without the text.
func TestSecretFiles(t *testing.T) {
	type list = []process.Secret
	for text, want := range map[string]list{
		"": nil, "A=/run/a": {{Key: "A", Path: "/run/a"}}, "A = /b/../a, b_2=%(here)s/%(process_num)d=x": {{Key: "A", Path: "/a"}, {Key: "b_2", Path: "/etc/0=x"}},
	} {
		for _, section := range []string{"[program:a]\n", "[eventlistener:a]\nevents=EVENT\n"} {
			c := load(t, map[string]string{"/etc/s.conf": head + section + "command=x\nsecret_files=" + text + "\n"}, nil)
			if got := c.Groups[0].Processes[0].Secrets; !slices.Equal(got, want) || len(warned(c, UnknownKey)) > 0 {
				t.Errorf("%s: %q, want %q", text, got, want)
			}
		}
	}
	for _, text := range []string{",", "A=/hunter2,", "hunter2", "A=", "=/hunter2", "1A=/hunter2", "A B=/hunter2", "A=/x,A=/hunter2", "SUPERVISOR_ENABLED=/hunter2"} {
		e := loadError(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\nsecret_files=" + text + "\n"})
		if e.Key != "secret_files" || e.Line != 4 || e.Code != BadValue || e.Hint == "" || strings.Contains(e.Text+e.Hint+e.Detail(), "hunter2") {
			t.Errorf("%s: %+v", text, e)
		}
	}
}
