package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

// listenerGroup returns the group of an [eventlistener:x] section (contract: config, "[eventlistener:x]"; the order of the checks is the
// reference's).
func (l *loader) listenerGroup(sec *section) (process.GroupSpec, error) {
	r := l.reader(sec, l.hereNames)
	_, name, _ := strings.Cut(sec.name, ":")
	g := process.GroupSpec{
		// compat: unlike a program's the name is taken as it stands; its processes' names are trimmed and checked.
		Name: name, Kind: process.KindEventListener, Origin: process.Origin{File: sec.file, Line: sec.line},
	}
	// Listeners start first and stop last.
	g.Priority = r.int("priority", -1)
	spec := &process.ListenerSpec{BufferSize: r.int("buffer_size", 10)}
	if spec.BufferSize < 1 {
		r.refuse(BadValue, "buffer_size", fmt.Sprintf("[%s] section sets invalid buffer_size (%d)", sec.name, spec.BufferSize), "give a number of events, 1 or more")
	}
	spec.ResultHandler = l.resultHandler(r)
	spec.Events = l.eventNames(r)
	if r.bool("redirect_stderr", false) {
		r.refuse(ListenerPipe, "redirect_stderr", fmt.Sprintf("[%s] section sets redirect_stderr=true but this is not allowed because it will interfere "+
			"with the eventlistener protocol", sec.name), "remove redirect_stderr")
	}
	r.refuseChecks()
	spec.CountBytes = read(r, "payload_length", false, choice("payload_length", "characters", "bytes"))
	if r.err != nil {
		return g, r.err
	}
	g.Listener = spec
	var err error
	g.Processes, err = l.processes(sec, name)
	g.Processes = l.uniqueMembers(g)
	return g, err
}

// resultHandler reads result_handler. Python's modules cannot be loaded, but those that are known are built in.
func (l *loader) resultHandler(r *reader) string {
	written := r.string("result_handler", process.ResultHandlerDefault)
	spec := entryPoint(written)
	if r.err == nil && !slices.Contains(process.ResultHandlers, spec) {
		builtin := strings.Join(process.ResultHandlers, ", ")
		r.refuse(NotBuiltIn, "result_handler", fmt.Sprintf("%s cannot be resolved within [%s]: the built-in result handlers are %s", written, r.sec.name, builtin),
			"Python's handlers cannot be loaded; name a built-in one, or remove the option")
	}
	return spec
}

// eventNames reads events: names in upper case, sorted, each once.
func (l *loader) eventNames(r *reader) []string {
	words := parseList(r.string("events", ""))
	if r.err != nil {
		return nil
	}
	if len(words) == 0 {
		r.refuse(Missing, "events", fmt.Sprintf("[%s] section requires an \"events\" line", r.sec.name), "add events=PROCESS_STATE, or another type")
		return nil
	}
	for i, word := range words {
		words[i] = strings.ToUpper(word)
		if _, ok := event.Parse(word); ok {
			continue
		}
		hint := "known: " + strings.Join(event.Names(), ", ")
		switch near := nearest(words[i], event.Names()); {
		case word == "":
			hint = "remove the comma too many"
		case near != "":
			hint = "did you mean " + near + "?"
		}
		r.refuse(UnknownEvent, "events", fmt.Sprintf("Unknown event type %s in [%s] events", words[i], r.sec.name), hint)
	}
	slices.Sort(words)
	return slices.Compact(words)
}
