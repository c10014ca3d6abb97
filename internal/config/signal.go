package config

import (
	"strings"

	"github.com/graced/graced/internal/process"
)

// signalNumbers maps the names of Python's signal module, without SIG, to their numbers on Linux. It has some oddities: the handlers
// and the mask operations look like signals there (quirk A21).
var signalNumbers = map[string]process.Signal{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "IOT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11,
	"USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CLD": 17, "CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21,
	"TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28, "IO": 29, "POLL": 29, "PWR": 30, "SYS": 31,
	"RTMIN": sigRTMin, "RTMAX": sigRTMax,
	"_DFL": 0, "_IGN": 1, "_BLOCK": 0, "_UNBLOCK": 1, "_SETMASK": 2,
}

const (
	sigRTMin process.Signal = 34
	sigRTMax process.Signal = 64
)

// ParseSignal reads a signal: a number, or a name with or without SIG, in any case. Numbers without a name are refused, as Supervisor
// does, but RTMIN+n and RTMAX-n are accepted (quirk A21). Signal 0, which only asks whether a process exists, is accepted.
func ParseSignal(s string) (process.Signal, error) {
	if n, err := parseInt(s, 10); err == nil {
		if sig := process.Signal(n); int64(sig) == n && (sig == 0 || sig.Known()) {
			return sig, nil
		}
		return 0, &valueError{"value " + repr(s) + " is not a valid signal number", "name the signal, such as TERM, HUP or RTMIN+3"}
	}
	name := strings.TrimPrefix(strings.ToUpper(strip(s)), "SIG")
	if sig, ok := signalNumbers[name]; ok {
		return sig, nil
	}
	if sig, ok := realTime(name); ok {
		return sig, nil
	}
	return 0, &valueError{"value " + repr(s) + " is not a valid signal name", "name a signal, such as TERM, INT, HUP, QUIT, KILL or USR1"}
}

// realTime reads RTMIN+n and RTMAX-n.
func realTime(name string) (process.Signal, bool) {
	sig, sign := sigRTMin, process.Signal(1)
	offset, ok := strings.CutPrefix(name, "RTMIN+")
	if !ok {
		if offset, ok = strings.CutPrefix(name, "RTMAX-"); !ok {
			return 0, false
		}
		sig, sign = sigRTMax, -1
	}
	n, err := parseInt(offset, 10)
	if err != nil || n < 0 || n > int64(sigRTMax-sigRTMin) {
		return 0, false
	}
	return sig + sign*process.Signal(n), true
}

// parseCue reads a signal that a process is to act on; 0 is none.
func parseCue(key, word string) (process.Signal, error) {
	sig, err := ParseSignal(word)
	if err == nil && (sig == process.SIGKILL || sig == process.SIGSTOP || sig != 0 && stopsNothing(word, sig)) {
		err = &valueError{"invalid '" + key + "' value " + repr(word) + ": no signal that a process can act on", "write one that the program takes as its cue, such as USR1, USR2 or HUP"}
	}
	return sig, err
}

// stopsNothing reports whether a stop signal is nonsense: no signal at all, or a name that is none.
func stopsNothing(word string, sig process.Signal) bool {
	return sig == 0 || strings.HasPrefix(strings.TrimPrefix(strings.ToUpper(strip(word)), "SIG"), "_")
}
