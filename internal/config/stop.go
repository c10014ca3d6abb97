package config

import (
	"strings"

	"github.com/graced/graced/internal/process"
)

// parseStopSteps reads the steps of a stop, such as TERM 60s, INT 30s, KILL.
func parseStopSteps(text string) ([]process.StopStep, error) {
	var steps []process.StopStep
	words, err := namesOf("stop_steps", "step", text)
	if err != nil {
		return nil, err
	}
	for i, item := range words {
		step, err := parseStopStep(item, i == len(words)-1)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func parseStopStep(item string, last bool) (step process.StopStep, err error) {
	word, wait, timed := strings.Cut(item, " ")
	if step.Signal, err = ParseSignal(word); err != nil {
		return step, &valueError{err.Error(), stepHint(item)}
	}
	bad := func(text, hint string) (process.StopStep, error) {
		return step, &valueError{"invalid 'stop_steps' value: " + text + ": " + repr(item), hint}
	}
	step.Wait = process.Forever
	switch wait = strip(wait); {
	case stopsNothing(word, step.Signal):
		return bad("no signal that stops a process", "name a signal, such as TERM, INT or QUIT")
	case step.Signal == process.SIGKILL && (timed || !last):
		return bad("nothing comes after KILL", "write KILL, without a time, at the end")
	case step.Signal == process.SIGKILL:
	case lower(wait) == "forever" && !last:
		return bad("nothing comes after forever", "leave out what follows, or give a time such as 60s")
	case lower(wait) == "forever" || !timed && last:
	case !timed:
		return bad("how long it may take is missing", "write "+word+" 60s")
	default:
		if step.Wait, err = duration(wait); err != nil {
			return bad(err.Error(), timeHint(word, wait))
		}
		if last {
			step.Wait = process.Forever
		}
	}
	return step, nil
}

// stepHint says how to write a step that begins with no signal: TERM:forever, 60s TERM.
func stepHint(item string) string {
	signal := func(s string) bool {
		sig, err := ParseSignal(s)
		return err == nil && !stopsNothing(s, sig) && !isTime(s)
	}
	if i := strings.IndexAny(item, ":=/@;"); i > 0 && signal(strip(item[:i])) {
		word, wait := strip(item[:i]), strip(strings.TrimLeft(item[i:], ":=/@; "))
		if isTime(wait) {
			return "write " + word + " " + lower(wait) + ", with a blank between the signal and its time"
		}
		if signal(wait) {
			return "write " + word + " 60s, " + wait + ": a comma between the steps, and each with its time"
		}
	}
	first, rest, _ := strings.Cut(item, " ")
	switch {
	case isTime(first) && signal(strip(rest)):
		return "write " + strip(rest) + " " + first + ": the signal comes first"
	case isTime(first) && rest == "":
		return "write the time behind its signal, with a blank and no comma: TERM " + first
	}
	return "name a signal, such as TERM, INT or QUIT, and behind it the time that it has: TERM 60s, INT 30s, KILL"
}

// timeHint says how to write what is no time behind a signal.
func timeHint(word, wait string) string {
	first, rest, _ := strings.Cut(wait, " ")
	if next, _, _ := strings.Cut(strip(rest), " "); isTime(first) && next != "" {
		if _, err := ParseSignal(next); err == nil {
			return "write a comma between the steps: " + word + " " + first + ", " + strip(rest)
		}
	}
	return "write a time such as 60s or 2m, or forever: " + word + " 60s"
}

// isTime reports whether a word says how long a step may take.
func isTime(s string) bool {
	_, err := durationOrForever(s)
	return err == nil
}
