package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/graced/graced/internal/core"
)

// runHook lets a command go as it says: see Script.
func (w *World) runHook(e core.RunHook) {
	w.note("hook", e.Group+":"+e.Name, fmt.Sprintf("%s %s, %s of pid %d", e.Option, e.Command, e.Reason, e.PID))
	if e.Command == "none" {
		w.outcome(0, core.HookEnded{Token: e.Token, Text: "can't find command 'none'"})
		return
	}
	w.hooks[e.Token] = true
	lasts, code, _ := strings.Cut(e.Command, "/")
	after, err := time.ParseDuration(lasts)
	if err != nil {
		return // never
	}
	text := ""
	if code != "" {
		text = "exit status " + code
	}
	w.at(w.now+after, func() { w.hookEnds(e.Token, text) })
}

// endHook kills a command.
func (w *World) endHook(e core.EndHook) { w.hookEnds(e.Token, "terminated by SIGKILL") }

func (w *World) hookEnds(t core.Token, text string) {
	if w.hooks[t] {
		delete(w.hooks, t)
		w.outcome(0, core.HookEnded{Token: t, Text: text})
	}
}
