package core_test

import (
	"slices"
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
var hookSituations = []situation{
	{"STARTING, pre_start runs", core.Quirks{}, func(b *bench) { b.do(core.Start{Target: target}) }},
	{"RUNNING, post_ready runs", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.pass()
	}},
	{"STOPPING, pre_stop runs", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.do(core.Stop{Target: target})
	}},
	{"STOPPING, pre_stop runs, and it has ended", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.do(core.Stop{Target: target})
		b.exited(0)
	}},
	{"STOPPING, post_stop runs", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.do(core.Stop{Target: target})
		b.hookEnds("")
		b.exited(0)
	}},
	{"STARTING, post_stop runs", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.now += 2 * time.Second
		b.exited(0)
	}},
	{"STOPPING, post_stop of the life before runs", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.now += 2 * time.Second
		b.exited(0)
		b.do(core.Stop{Target: target})
	}},
	{"BACKOFF, post_stop runs", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.hookEnds("")
		b.spawned()
		b.exited(0)
	}},
}

// TestHookMatrix prints what every input does while a command of a life runs.
func TestHookMatrix(t *testing.T) {
	given := make([]situation, len(hookSituations))
	for i, s := range hookSituations {
		given[i] = situation{s.name, s.quirks, func(b *bench) { b.hooked(); s.reach(b) }}
	}
	matrix(t, "testdata/matrix_hooks.txt", given, append(slices.Clone(matrixInputs), []matrixInput{
		{"hook ends", func(b *bench) []core.Effect { return b.hookEnds("") }},
		{"hook fails", func(b *bench) []core.Effect { return b.hookEnds("exit status 3") }},
		{"hurry", func(b *bench) []core.Effect { return b.do(core.Hurry{Targets: []core.Target{target}}) }},
		{"stop now", func(b *bench) []core.Effect {
			return b.do(core.Act{Targets: []core.Target{target}, Stop: true, Now: true})
		}},
	}...))
}
