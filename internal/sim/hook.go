package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/graced/graced/internal/core"
)

// runHook lets a command go as it says: see Script.
func (w *World) runHook(e core.RunHook) {
	text := fmt.Sprintf("%s %s, %s of pid %d", e.Option, e.Command, e.Reason, e.PID)
	if e.Exit != nil {
		text += ", " + e.Exit.String()
	}
	w.note("hook", e.Group+":"+e.Name, text)
	if e.Command == "none" {
		w.outcome(0, core.HookEnded{Token: e.Token, Text: "can't find command 'none'"})
		return
	}
	if w.hooksCut[e.Token] {
		w.outcome(0, core.HookEnded{Token: e.Token, Text: killed})
		return
	}
	w.hooks[e.Token] = true
	lasts, code, _ := strings.Cut(e.Command, "/")
	after, err := time.ParseDuration(lasts)
	if err != nil {
		return // never
	}
	text = ""
	if code != "" {
		text = "exit status " + code
	}
	w.at(w.now+after, func() { w.hookEnds(e.Token, text) })
}

// killed is how a command ends that was killed.
const killed = "terminated by SIGKILL"

// endHook kills a command, as soon as it is there.
func (w *World) endHook(e core.EndHook) {
	w.hooksCut[e.Token] = true
	w.hookEnds(e.Token, killed)
}

func (w *World) hookEnds(t core.Token, text string) {
	if w.hooks[t] {
		delete(w.hooks, t)
		w.outcome(0, core.HookEnded{Token: t, Text: text})
	}
}
