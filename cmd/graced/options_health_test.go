package main

import (
	"os"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// The programs of these cases are asked whether a file is there, or write down that they were asked.
const (
	asksReady = sleeper + "ready=exec:/usr/bin/test -e HERE/NAME.ready\nready_period=50ms\n"
	asksAlive = sleeper + "alive=exec:/usr/bin/test ! -e HERE/NAME.hangs\nalive_period=50ms\n"
	tallies   = "exec:/bin/sh HERE/tally.sh HERE/NAME.asked"
)

// healthCases are the options about readiness and liveness, and those about rolls, which the plan tells of.
var healthCases = []optionCase{
	{
		option: "ready", about: "at all", also: "ready_period", head: "[program:NAME]\n" + sleeper + "directory=HERE\nready_period=50ms\n", after: "ready=exec:/usr/bin/test -e NAME.ready", class: process.Live,
		check: func(k *optionRun) {
			k.isReady(false)
			k.put(k.group+".ready", "")
			k.isReady(true)
			k.log("ready: NAME\n")
		},
	},
	{
		option: "ready_period", head: "[program:NAME]\n" + sleeper + "ready=" + tallies + "\n", before: "ready_period=1h", after: "ready_period=50ms", class: process.Live,
		check: func(k *optionRun) { k.isAsked() },
	},
	{
		option: "ready_timeout", head: "[program:NAME]\n" + sleeper + "ready=exec:/bin/sleep 1000\nready_period=50ms\n", before: "ready_timeout=1h", after: "ready_timeout=100ms",
		class: process.Live,
		check: func(k *optionRun) {
			k.until("it does not answer in time", func() bool { return k.readiness().Text == "no answer within 100ms" })
		},
	},
	{
		option: "ready_successes", head: "[program:NAME]\n" + sleeper + "ready=" + tallies + "\nready_period=50ms\n", before: "ready_successes=1000000", after: "ready_successes=2",
		class: process.Live, check: func(k *optionRun) { k.isReady(true) },
	},
	{
		option: "ready_failures", head: "[program:NAME]\n" + asksReady, before: "ready_failures=1000000", after: "ready_failures=2", class: process.Live,
		check: func(k *optionRun) {
			k.put(k.group+".ready", "")
			k.isReady(true)
			k.must(os.Remove(k.path(k.group + ".ready")))
			k.isReady(false)
			k.log("not ready: NAME (exec: exit status 1)\n")
		},
	},
	{
		option: "ready_wait", head: "[program:NAME]\nenvironment=A=\"1\"\n" + asksReady, before: "ready_wait=1h", after: "ready_wait=100ms", class: process.Live,
		check: func(k *optionRun) {
			k.rewriteOption(`A="1"`, `A="2"`)
			if out, code := k.ctl("gracectl", "update", k.group); code == 0 || !strings.Contains(out, "is not ready after 100ms") {
				k.t.Errorf("update: exit %d\n%s", code, out)
			}
			k.rewriteOption(`A="2"`, `A="1"`)
			k.put(k.group+".ready", "")
			k.update()
		},
	},
	{
		option: "alive", about: "at all", also: "alive_period", head: "[program:NAME]\n" + sleeper + "directory=HERE\nalive_period=50ms\n", after: "alive=exec:/usr/bin/test ! -e NAME.hangs", class: process.Live,
		check: func(k *optionRun) {
			k.put(k.group+".hangs", "")
			k.log("not alive: NAME (exec: exit status 1); restarting it\n")
			k.must(os.Remove(k.path(k.group + ".hangs")))
			k.until("there is another", func() bool {
				now := k.members()["NAME"]
				return now.PID != k.after["NAME"].PID && now.State == process.Running
			})
		},
	},
	{
		option: "alive_period", head: "[program:NAME]\n" + sleeper + "alive=" + tallies + "\n", before: "alive_period=1h", after: "alive_period=50ms", class: process.Live,
		check: func(k *optionRun) { k.isAsked() },
	},
	{
		option: "alive_timeout", head: "[program:NAME]\n" + sleeper + "alive=exec:/bin/sleep 1000\nalive_period=50ms\nalive_action=none\n", before: "alive_timeout=1h",
		after: "alive_timeout=100ms", class: process.Live, check: func(k *optionRun) { k.log("not alive: NAME (no answer within 100ms)\n") },
	},
	{
		option: "alive_failures", head: "[program:NAME]\n" + asksAlive + "alive_action=none\n", before: "alive_failures=1000000", after: "alive_failures=2", class: process.Live,
		check: func(k *optionRun) {
			k.put(k.group+".hangs", "")
			k.log("not alive: NAME (exec: exit status 1)\n")
		},
	},
	{
		option: "alive_action", head: "[program:NAME]\n" + asksAlive, before: "alive_action=none", after: "alive_action=stop", class: process.Live,
		check: func(k *optionRun) {
			k.put(k.group+".hangs", "")
			k.is("NAME", process.Stopped)
			k.log("not alive: NAME (exec: exit status 1); stopping it\n")
		},
	},
	{option: "roll_max_unavailable", head: "[program:NAME]\n" + sleeper, before: "roll_max_unavailable=1", after: "roll_max_unavailable=50%%", class: process.Live},
	{
		option: "roll_surge", head: "[program:NAME]\nprocess_name=%(program_name)s_%(process_num)d\nenvironment=A=\"1\"\n" + sleeper, before: "roll_surge=0", after: "roll_surge=1", class: process.Live,
		check: func(k *optionRun) {
			k.rewriteOption(`A="1"`, `A="2"`)
			if out, code := k.ctl("gracectl", "update", k.group); code != 0 || !strings.Contains(out, k.group+":"+k.group+"_1") {
				k.t.Errorf("update: exit %d\n%s", code, out)
			}
			if extra, is := k.members()["NAME_1"]; is {
				k.t.Errorf("left is %v", extra)
			}
		},
	},
	{option: "roll_canary", head: "[program:NAME]\n" + sleeper, before: "roll_canary=0", after: "roll_canary=1", class: process.Live},
	{option: "roll_steady", head: "[program:NAME]\n" + sleeper, before: "roll_steady=0s", after: "roll_steady=5s", class: process.Live},
	{option: "roll_on_failure", head: "[program:NAME]\n" + sleeper, before: "roll_on_failure=rollback", after: "roll_on_failure=pause", class: process.Live},
}

// readiness is what the daemon tells of the readiness of the case's only process.
func (k *optionRun) readiness() control.Readiness {
	k.t.Helper()
	s, err := k.Standing(k.t.Context())
	k.must(err)
	return s.Readiness[k.group+":"+k.group]
}

func (k *optionRun) isReady(want bool) {
	k.t.Helper()
	k.until("it is ready or not", func() bool {
		s, err := k.Standing(k.t.Context())
		k.must(err)
		r, asked := s.Readiness[k.group+":"+k.group]
		return asked && r.Ready == want
	})
}

// isAsked waits until it has been asked again and again.
func (k *optionRun) isAsked() {
	k.t.Helper()
	before := len(k.read(k.group + ".asked"))
	k.until("it is asked", func() bool { return len(k.read(k.group+".asked")) > before+20 })
}
