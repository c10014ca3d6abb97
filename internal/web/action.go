package web

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// actionRefresh is the one action that changes nothing.
const actionRefresh = "refresh"

// errNoAction stands for a request that names no action, or an action on a process and no process.
var errNoAction = errors.New("no such action")

// act carries out an action and returns what to tell the user about its outcome (contract: web, "Actions"); an error is one that the
// user gets no words for. It returns when the action has ended.
func (h *handler) act(ctx context.Context, action, name string) (message string, err error) {
	switch action {
	case actionRefresh:
		return "Page refreshed at " + now(), nil
	case "stopall":
		results, err := h.svc.Stop(ctx, control.Target{All: true}, true)
		return "All stopped at " + now() + failures("stopped", results), err
	case "restartall":
		if _, err := h.svc.Stop(ctx, control.Target{All: true}, true); err != nil {
			return "", err
		}
		// Whatever could not be stopped still runs, and so is not started: only this result tells what does not run.
		results, err := h.svc.Start(ctx, control.Target{All: true}, true)
		return "All restarted at " + now() + failures("started", results), err
	}
	if name == "" {
		return "", errNoAction
	}
	// compat: the process is looked for before the action.
	if _, err := h.svc.Process(ctx, name); err != nil {
		if codeOf(err) == control.BadName {
			return "No such process named " + name, nil
		}
		return "", err
	}
	switch action {
	case "start":
		if err := single(h.svc.Start(ctx, control.Target{Name: name}, true)); err != nil {
			return "ERROR: Process " + name + ": " + reason(err), nil
		}
		return "Process " + name + " started", nil
	case "stop":
		if err := single(h.svc.Stop(ctx, control.Target{Name: name}, true)); err != nil {
			return unexpected(err), nil
		}
		return "Process " + name + " stopped", nil
	case "restart":
		err := single(h.svc.Stop(ctx, control.Target{Name: name}, true))
		if err == nil || codeOf(err) == control.NotRunning {
			err = single(h.svc.Start(ctx, control.Target{Name: name}, true))
		}
		if err != nil {
			return "ERROR: Process " + name + ": " + reason(err), nil // Supervisor says that it restarted (quirk F16)
		}
		return "Process " + name + " restarted", nil
	case "clearlog":
		if err := h.svc.ClearLog(ctx, control.Log{Process: name}); err != nil {
			return unexpected(err), nil
		}
		return "Log for " + name + " cleared", nil
	}
	return "", errNoAction
}

// now is the local time as C's ctime writes it.
func now() string { return time.Now().Format(time.ANSIC) }

// single returns the failure of a command for one process.
func single(results []control.Result, err error) error {
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Code != control.Success {
			return &control.Error{Code: r.Code, Raw: r.Text}
		}
	}
	return nil
}

func codeOf(err error) control.Code {
	var fault *control.Error
	if errors.As(err, &fault) {
		return fault.Code
	}
	return control.Failed
}

// startFailures are reasons why a start failed, in the words of the page.
var startFailures = map[control.Code]string{
	control.NoFile: "no such file", control.NotExecutable: "file not executable", control.AlreadyStarted: "already started",
	control.SpawnError: "spawn error", control.AbnormalTermination: "abnormal termination",
}

func reason(err error) string {
	if words, ok := startFailures[codeOf(err)]; ok {
		return words
	}
	return unexpected(err)
}

func unexpected(err error) string {
	return fmt.Sprintf("unexpected rpc fault [%d] %s", codeOf(err), err)
}

// failures tells which processes an action on all of them has failed for. The words travel in a URL, so there are not many.
func failures(done string, results []control.Result) string {
	const most = 5
	var failed []string
	for _, r := range results {
		if r.Code != control.Success {
			name := process.Namespec{Group: r.Group, Process: r.Name}.String()
			failed = append(failed, name+" ("+reason(&control.Error{Code: r.Code, Raw: r.Text})+")")
		}
	}
	if len(failed) == 0 {
		return ""
	}
	text := "; not " + done + ": " + strings.Join(failed[:min(most, len(failed))], ", ")
	if more := len(failed) - most; more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}
