package core_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// hooked gives the process of a bench commands.
func (b *bench) hooked() {
	spec := matrixSpec
	one := func(option string) process.HookSpec { return process.HookSpec{Command: option, Timeout: time.Second} }
	spec.Hooks = process.Hooks{PreStart: one("pre_start"), PostReady: one("post_ready"), PreStop: one("pre_stop"), PostStop: one("post_stop")}
	spec.Autorestart = process.RestartAlways
	b.do(core.RemoveGroup{Name: "g"})
	b.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "g", Processes: []process.Spec{spec}}}})
}

// hookEnds ends the command that runs.
func (b *bench) hookEnds(text string) []core.Effect {
	return b.step(core.HookEnded{Token: b.hook, Text: text})
}

// hookSituations are the states in which a command runs.
var hookSituations = []struct {
	name  string
	reach func(*bench)
}{
	{"STARTING, pre_start runs", func(b *bench) { b.do(core.Start{Target: target}) }},
	{"RUNNING, post_ready runs", func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.pass()
	}},
	{"STOPPING, pre_stop runs", func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.do(core.Stop{Target: target})
	}},
	{"STOPPING, pre_stop runs, and it has ended", func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.do(core.Stop{Target: target})
		b.exited(0)
	}},
	{"STOPPING, post_stop runs", func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.do(core.Stop{Target: target})
		b.hookEnds("")
		b.exited(0)
	}},
	{"STARTING, post_stop runs", func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.now += 2 * time.Second
		b.exited(0)
	}},
	{"STOPPING, post_stop of the life before runs", func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.now += 2 * time.Second
		b.exited(0)
		b.do(core.Stop{Target: target})
	}},
	{"BACKOFF, post_stop runs", func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.exited(0)
	}},
}

// TestHookMatrix prints what every input does while a command of a life runs.
func TestHookMatrix(t *testing.T) {
	inputs := append(matrixInputs[:len(matrixInputs):len(matrixInputs)], []struct {
		name string
		give func(*bench) []core.Effect
	}{
		{"hook ends", func(b *bench) []core.Effect { return b.hookEnds("") }},
		{"hook fails", func(b *bench) []core.Effect { return b.hookEnds("exit status 3") }},
		{"hurry", func(b *bench) []core.Effect { return b.do(core.Hurry{Targets: []core.Target{target}}) }},
		{"stop now", func(b *bench) []core.Effect {
			return b.do(core.Act{Targets: []core.Target{target}, Stop: true, Now: true})
		}},
	}...)
	var out strings.Builder
	for _, s := range hookSituations {
		fmt.Fprintf(&out, "%s\n", s.name)
		for _, in := range inputs {
			b := &bench{Supervisor: core.New(core.Options{Strict: true})}
			b.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "g", Processes: []process.Spec{matrixSpec}}}})
			b.hooked()
			s.reach(b)
			want, _, _ := strings.Cut(s.name, ",")
			if st, ok := b.Find("g", "p"); !ok || st.State.String() != want {
				t.Fatalf("%s: reached %v", s.name, st.State)
			}
			fmt.Fprintf(&out, "  %-18s %s\n", in.name, outcome(b, in.give))
		}
		out.WriteByte('\n')
	}
	golden(t, "testdata/matrix_hooks.txt", readFile(t, "testdata/matrix_hooks.txt"), out.String())
}
