package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// hooked is a program whose commands write what they are told into a file.
const hooked = "[program:NAME]\ndirectory=HERE\nenvironment=FILE=NAME.told,LATE=NAME.late,BAD=NAME.bad\n" + sleeper + "startretries=0\n"

// hookScripts are the commands: one tells of itself, one takes as long as there is a file, and one fails as long as there is one.
var hookScripts = map[string]string{
	"hook.sh": "echo \"$1 $GRACED_GROUP $GRACED_NAME ${GRACED_PID:-none} $GRACED_REASON $GRACED_EXIT_CODE$GRACED_EXIT_SIGNAL\" >>\"$FILE\"\necho it is told\n",
	"late.sh": "[ -e \"$LATE\" ] && exec sleep 1000\nexit 0\n",
	"bad.sh":  "[ -e \"$BAD\" ] && exit 3\nexit 0\n",
}

// hookCases are the options about commands in the life of a process, and about secrets.
var hookCases = []optionCase{
	{
		option: "pre_start", about: "at all", head: hooked, before: "pre_start=/bin/sh hook.sh before", after: "pre_start=/bin/sh hook.sh after", class: process.Live,
		check: func(k *optionRun) {
			k.again()
			k.file(k.group+".told", k.named("before NAME NAME none start \nafter NAME NAME none start \n"))
			k.log("pre_start of NAME: it is told")
		},
	},
	{
		option: "pre_start_timeout", head: hooked + "pre_start=/bin/sh late.sh\n", before: "pre_start_timeout=1000s", after: "pre_start_timeout=1s", class: process.Live,
		check: func(k *optionRun) {
			k.put(k.group+".late", "")
			k.failsToStart("pre_start: did not end within 1s")
		},
	},
	{
		option: "pre_start_on_failure", head: hooked + "pre_start=/bin/sh bad.sh\n", before: "pre_start_on_failure=ignore", after: "pre_start_on_failure=fail", class: process.Live,
		check: func(k *optionRun) {
			k.put(k.group+".bad", "")
			k.failsToStart("pre_start: exit status 3")
			k.rewriteOption("=fail", "=ignore")
			k.update()
			k.start("*")
			k.log("pre_start of NAME: exit status 3")
		},
	},
	{
		option: "post_ready", about: "at all", head: hooked, before: "post_ready=/bin/sh hook.sh before", after: "post_ready=/bin/sh hook.sh after", class: process.Live,
		check: func(k *optionRun) {
			first := k.before["NAME"].PID
			k.again()
			k.file(k.group+".told", k.named(fmt.Sprintf("before NAME NAME %d start \nafter NAME NAME %d start \n", first, k.members()["NAME"].PID)))
		},
	},
	{
		option: "post_ready_timeout", head: hooked + "post_ready=/bin/sh late.sh\n", before: "post_ready_timeout=1000s", after: "post_ready_timeout=1s", class: process.Live,
		check: func(k *optionRun) {
			k.put(k.group+".late", "")
			k.again()
			k.log("post_ready of NAME: did not end within 1s")
			k.is("NAME", process.Running)
		},
	},
	{
		option: "post_ready_on_failure", head: hooked + "post_ready=/bin/sh bad.sh\n", before: "post_ready_on_failure=ignore", after: "post_ready_on_failure=fail", class: process.Live,
		check: func(k *optionRun) {
			k.isReady(true)
			k.put(k.group+".bad", "")
			k.again()
			k.log("post_ready of NAME: exit status 3")
			k.isReady(false)
			k.is("NAME", process.Running)
		},
	},
	{
		option: "pre_stop", about: "at all", head: hooked, before: "pre_stop=/bin/sh hook.sh before", after: "pre_stop=/bin/sh hook.sh after", class: process.Live,
		check: func(k *optionRun) {
			k.stop("*")
			k.file(k.group+".told", k.named(fmt.Sprintf("after NAME NAME %d stop \n", k.after["NAME"].PID)))
			k.log("stopped: NAME (terminated by SIGTERM)")
		},
	},
	{
		option: "pre_stop_timeout", head: hooked + "pre_stop=/bin/sleep 1000\n", before: "pre_stop_timeout=1000s", after: "pre_stop_timeout=1s", class: process.Live,
		check: func(k *optionRun) {
			k.stop("*")
			k.log("pre_stop of NAME: did not end within 1s")
			k.log("stopped: NAME (terminated by SIGTERM)")
		},
	},
	{
		option: "post_stop", about: "at all", head: hooked + "autorestart=true\n", before: "post_stop=/bin/sh hook.sh before", after: "post_stop=/bin/sh hook.sh after", class: process.Live,
		check: func(k *optionRun) {
			first, next := k.after["NAME"].PID, control.ProcessInfo{}
			k.kill("NAME")
			k.until("it runs again", func() bool {
				next = k.members()["NAME"]
				return next.State == process.Running && next.PID != first
			})
			k.stop("*")
			k.file(k.group+".told", k.named(fmt.Sprintf("after NAME NAME %d exit SIGKILL\nafter NAME NAME %d stop SIGTERM\n", first, next.PID)))
		},
	},
	{
		option: "post_stop_timeout", head: hooked + "post_stop=/bin/sleep 1000\n", before: "post_stop_timeout=1000s", after: "post_stop_timeout=1s", class: process.Live,
		check: func(k *optionRun) {
			k.stop("*")
			k.log("post_stop of NAME: did not end within 1s")
		},
	},
	{
		option: "secret_files", head: "[program:NAME]\n" + sleeper + "environment=MINE=\"1\"\n", before: "secret_files=OLD=HERE/NAME.one", after: "secret_files=MINE=HERE/NAME.one, NEW=HERE/NAME.two",
		class: process.Respawn,
		early: func(k *optionRun) {
			k.put(k.group+".one", "of NAME one\n")
			k.put(k.group+".two", "of NAME two")
		},
		check: func(k *optionRun) {
			k.proc("NAME", "environ", "MINE=of NAME one\x00")
			k.proc("NAME", "environ", "NEW=of NAME two\x00")
			k.put(k.group+".two", "another")
			k.again()
			k.after = k.members()
			k.proc("NAME", "environ", "NEW=another\x00")
			k.must(os.Remove(k.path(k.group + ".two")))
			k.failsToStart("secret_files: NEW cannot be read from " + k.path(k.group+".two") + ": no such file or directory")
			if text := k.read("s.log") + k.show.String(); strings.Contains(text, "of NAME one") || strings.Contains(text, "another") {
				k.t.Error("a value is told")
			}
		},
	},
}

// again stops the processes of the case and starts them.
func (k *optionRun) again() {
	k.t.Helper()
	k.stop("*")
	k.start("*")
}

// failsToStart stops the process of the case, whose next start fails for a reason.
func (k *optionRun) failsToStart(why string) {
	k.t.Helper()
	k.stop("*")
	if out, code := k.ctl("gracectl", "start", k.group); code == 0 {
		k.t.Errorf("it starts:\n%s", out)
	}
	k.log("spawnerr: " + why)
}
