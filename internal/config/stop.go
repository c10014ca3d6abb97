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
		return step, err
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
			return bad(err.Error(), "write a time such as 60s or 2m, or forever")
		}
		if last {
			step.Wait = process.Forever
		}
	}
	return step, nil
}
